"""The line that shows how far a long step is and how long it still takes."""

import sys

from tqdm import tqdm


def bar(title: str, total: int) -> tqdm:
    """A bar that counts images, on standard error; where that is a file, a line each ten seconds.

    With nothing to do (`total` 0) it stays silent.
    """
    seconds = 0.2 if sys.stderr.isatty() else 10.0
    return tqdm(total=total, desc=title, unit="image", mininterval=seconds, disable=not total)
