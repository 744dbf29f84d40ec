"""What goes wrong with Flink, in words for the person who started the run."""


class FlinkError(RuntimeError):
    """Flink cannot be used, or a step failed on it; one line that says what to do or what was."""
