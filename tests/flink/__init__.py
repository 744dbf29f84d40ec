"""A test bed: Apache Flink 1.16 and Beam's job server for it, as a site's own would stand there.

It shows that each step works on another engine, with lost workers and machines. It is for tests
alone: Flink 1.16 gets no more fixes from its makers, and a Java agent rewrites where it listens.
"""
