"""Looking values up in a table, without numpy's 8 bytes for each index of a large film."""

import numpy as np
from numpy.typing import NDArray


def looked_up(table: NDArray[np.uint8], values: NDArray) -> NDArray[np.uint8]:
    """The table's entry for each value.

    Args:
        table: uint8[n].
        values: uint8 or uint16[rows, columns], below n.

    Returns:
        uint8[rows, columns].
    """
    found = np.empty(values.shape, np.uint8)
    for row, row_values in zip(found, values, strict=True):
        np.take(table, row_values, out=row)
    return found
