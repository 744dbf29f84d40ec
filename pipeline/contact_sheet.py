"""Contact sheets: small images in a labelled grid, to be looked at by people."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

_INCH = 1.5  # side of a cell
_DOTS_PER_INCH = 150


def draw(
    path: Path,
    title: str,
    columns: Sequence[str],
    rows: Sequence[tuple[str, Sequence[np.ndarray]]],
) -> None:
    """Writes a grid of grey images as a PNG.

    Args:
        path: the file to write.
        title: stands above the grid.
        columns: label of each column.
        rows: label and images of each row, uint8[H,W]; at least one, as many images as columns.
    """
    figure = Figure(
        figsize=(_INCH * len(columns) + 0.6, _INCH * len(rows) + 0.7), layout="constrained"
    )
    figure.suptitle(title, fontsize=10)
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for axes, (label, images) in zip(grid, rows, strict=True):
        axes[0].set_ylabel(label, fontsize=8)
        for cell, image in zip(axes, images, strict=True):
            cell.imshow(image, cmap="gray", vmin=0, vmax=255)
            cell.set(xticks=[], yticks=[])
    for cell, label in zip(grid[0], columns, strict=True):
        cell.set_title(label, fontsize=8)
    figure.savefig(path, format="png", dpi=_DOTS_PER_INCH)
