"""Augmenter's contact sheets: before and after, and the lung fields."""

import io
from collections.abc import Sequence
from itertools import islice

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from components import names
from components.augmenter import parts
from components.augmenter.parts import TransformedExample
from components.augmenter.shards import Augmentation, decode
from components.image.augment import image_seed
from components.image.lung_network import lung_fields, lungs_found

_FILMS = 4  # of each class
_COPIES = 5
_CELL = 224
_GAP = 8
_LINE = 28
_ROW_LABEL = 150
_PAPER, _INK = 255, 0


def write(folder: str, scratch: str, augmentation: Augmentation) -> None:
    """Writes augmentation.png and segmentation.png from the first films of each class.

    Args:
        folder: where to write; it may be a bucket.
        scratch: holds the parts of the training split.
        augmentation: the run's; where it asks for such copies, training sees the very ones shown.
    """
    records = parts.read(scratch, 0)
    films = [
        (f"{name} {number}", record)
        for label, name in enumerate(names.CLASSES)
        for number, record in enumerate(
            islice((record for record in records if record.label == label), _FILMS), 1
        )
    ]
    if not films:
        return
    donors = parts.read_donors(scratch)
    _save(folder, "augmentation.png", _augmentation_sheet(films, donors, augmentation))
    _save(folder, "segmentation.png", _segmentation_sheet(films))


def _augmentation_sheet(
    films: Sequence[tuple[str, TransformedExample]],
    donors: Sequence[bytes],
    augmentation: Augmentation,
) -> bytes:
    change = augmentation.changer(augmentation.kind, donors)
    copies = range(1, _COPIES + 1)
    rows = []
    for name, record in films:
        seeds = [image_seed(augmentation.seed, record.key, copy) for copy in copies]
        changed = change([record.image_png] * len(seeds), seeds)
        rows.append((name, [decode(record.image_png), *changed]))
    columns = ["before", *(f"copy {copy}" for copy in copies)]
    return draw("Training images before and after augmentation", columns, rows)


def _segmentation_sheet(films: Sequence[tuple[str, TransformedExample]]) -> bytes:
    images = [decode(record.image_png) for _, record in films]
    fields = lung_fields(tf.constant(np.stack(images), tf.float32))
    masks, found = fields.numpy(), int(np.sum(lungs_found(fields)))
    rows: list[tuple[str, Sequence[np.ndarray]]] = [
        ("film", images),
        ("lung mask", [(255 * mask).astype(np.uint8) for mask in masks]),
        (
            "masked",
            [(image * mask).astype(np.uint8) for image, mask in zip(images, masks, strict=True)],
        ),
    ]
    title = f"Lung fields, found on {found} of {len(films)} films"
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
