"""Contact sheets: small images in a labelled grid, to be looked at by people."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_CELL = 224
_GAP = 8
_LINE = 28
_ROW_LABEL = 150
_PAPER, _INK = 255, 0


def draw(
    title: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[np.ndarray]]]
) -> bytes:
    """Draws a grid of grey images.

    Args:
        title: stands above the grid.
        columns: label of each column.
        rows: label and images of each row, uint8[H,W]; as many images as columns. An image is
            scaled to a cell of 224 x 224.

    Returns:
        The sheet as a PNG.
    """
    step = _CELL + _GAP
    size = (_ROW_LABEL + step * len(columns), 2 * _LINE + step * len(rows))
    sheet = Image.new("L", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=16)
    pen.text((_GAP, _LINE / 2), title, _INK, font, anchor="lm")
    for column, label in enumerate(columns):
        middle = _ROW_LABEL + step * column + _CELL / 2
        pen.text((middle, 1.5 * _LINE), label, _INK, font, anchor="mm")
    for row, (label, images) in enumerate(rows):
        top = 2 * _LINE + step * row
        pen.text((_GAP, top + _CELL / 2), label, _INK, font, anchor="lm")
        for column, (image, _) in enumerate(zip(images, columns, strict=True)):
            cell = Image.fromarray(image).resize((_CELL, _CELL))
            sheet.paste(cell, (_ROW_LABEL + step * column, top))
    png = io.BytesIO()
    sheet.save(png, "PNG")
    return png.getvalue()
