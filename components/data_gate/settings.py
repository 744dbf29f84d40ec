"""Settings of the comparisons of data with data."""

from components.settings import Share, settings


@settings
class ShiftConfig:
    """How far data may differ from data before somebody is told, or the run stops.

    Divergences are Jensen and Shannon's, in bits: 0 alike, 1 nothing in common.
    """

    warn: Share = 0.2  # label, etiology, file format, height, width: test from train, now from then
    # Beyond it, labels or folders are likely mixed up. Where 73 % of the films are sick, swapping
    # all labels of test gives 0.16; where the classes are alike in number, no count can tell.
    stop_label: Share = 0.15
    stop_loss: Share = 0.5  # of the last run's films that are not there any more
