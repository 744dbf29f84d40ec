"""Augmenter's contact sheets: before and after, and the lung fields."""

import io
from collections.abc import Sequence
from itertools import islice

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from components import names
from components.augmenter.parts import Record
from components.augmenter.shards import Augmentation, decode
from components.image.augment import image_seed
from components.image.lungs import lung_mask

_FILMS = 4  # of each class
_COPIES = 5
_CELL = 224
_GAP = 8
_LINE = 28
_ROW_LABEL = 150
_PAPER, _INK = 255, 0


def write(folder: str, records: Sequence[Record], augmentation: Augmentation) -> None:
    """Writes augmentation.png and segmentation.png from the first films of each class.

    Args:
        folder: where to write; it may be a bucket.
        records: training images as Transform left them.
        augmentation: the run's; where it asks for such copies, training sees the very ones shown.
    """
    films = [
        (f"{name} {number}", record)
        for label, name in enumerate(names.CLASSES)
        for number, record in enumerate(
            islice((record for record in records if record.label == label), _FILMS), 1
        )
    ]
    if not films:
        return
    _save(folder, "augmentation.png", _augmentation_sheet(films, augmentation))
    _save(folder, "segmentation.png", _segmentation_sheet(films))


def _augmentation_sheet(films: Sequence[tuple[str, Record]], augmentation: Augmentation) -> bytes:
    apply = augmentation.compiled()
    copies = range(1, _COPIES + 1)
    rows = []
    for name, record in films:
        seeds = [image_seed(augmentation.seed, record.key, copy) for copy in copies]
        changed = apply([record.image_png] * len(seeds), seeds)
        rows.append((name, [decode(record.image_png), *changed]))
    columns = ["before", *(f"copy {copy}" for copy in copies)]
    return draw("Training images before and after augmentation", columns, rows)


def _segmentation_sheet(films: Sequence[tuple[str, Record]]) -> bytes:
    images = [decode(record.image_png) for _, record in films]
    find = tf.function(lung_mask)
    masks = [find(tf.constant(image, tf.float32)).numpy() for image in images]
    found = sum(bool(mask.min() < 1) for mask in masks)
    rows: list[tuple[str, Sequence[np.ndarray]]] = [
        ("film", images),
        ("lung mask", [(255 * mask).astype(np.uint8) for mask in masks]),
        (
            "masked",
            [(image * mask).astype(np.uint8) for image, mask in zip(images, masks, strict=True)],
        ),
    ]
    title = f"Lung fields, found on {found} of {len(films)} films; elsewhere the whole image stays"
    return draw(title, [name for name, _ in films], rows)


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


def _save(folder: str, name: str, sheet: bytes) -> None:
    with tf.io.gfile.GFile(f"{folder}/{name}", "wb") as file:
        file.write(sheet)
