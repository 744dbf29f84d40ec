"""Apache Flink under beam.runner=flink: its jars, the job server, the pool of Beam's workers."""
