"""What the command line's exit codes mean."""

from typing import Final

DONE: Final = 0
FAILED: Final = 1  # a step failed, or a server is away
USAGE: Final = 2  # nothing was started
REFUSED: Final = 3  # the run's gate refused the model, or `audit` found it below the bound
DRIFTED: Final = 4  # `drift` found films unlike the reference
POSITIVE: Final = 4  # `predict --fail-on-positive` found a pneumonia
INTERRUPTED: Final = 130
