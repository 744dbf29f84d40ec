"""Augmenter's contact sheets: before and after, and the lung fields."""

from collections.abc import Sequence
from itertools import islice

import numpy as np
import tensorflow as tf

from components.augmenter.parts import Record
from components.augmenter.shards import Augmentation, decode
from pipeline import contact_sheet, features
from pipeline.augmentation import image_seed
from pipeline.segmentation import lung_mask

_FILMS = 4  # of each class
_COPIES = 5


def write(folder: str, records: Sequence[Record], augmentation: Augmentation) -> None:
    """Writes augmentation.png and segmentation.png from the first films of each class.

    Args:
        folder: where to write; it may be a bucket.
        records: training images as Transform left them.
        augmentation: the run's; where it asks for such copies, training sees the very ones shown.
    """
    films = [
        (f"{name} {number}", record)
        for label, name in enumerate(features.CLASSES)
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
    return contact_sheet.draw("Training images before and after augmentation", columns, rows)


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
    return contact_sheet.draw(title, [name for name, _ in films], rows)


def _save(folder: str, name: str, sheet: bytes) -> None:
    with tf.io.gfile.GFile(f"{folder}/{name}", "wb") as file:
        file.write(sheet)
