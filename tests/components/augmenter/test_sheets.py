"""The grid of a contact sheet."""

import io

import numpy as np
import pytest
from PIL import Image

from components.augmenter import sheets


def image(level: int, size: int = 64) -> np.ndarray:
    return np.full((size, size), level, np.uint8)


def test_images_of_any_size_fill_their_cells_in_order() -> None:
    rows = [("NORMAL", [image(10), image(60, 300)]), ("PNEUMONIA", [image(110), image(160)])]
    sheet = np.asarray(Image.open(io.BytesIO(sheets.draw("Title", ["a", "b"], rows))))
    areas = {level: np.argwhere(sheet == level) for level in (10, 60, 110, 160)}
    assert all(len(places) >= 224 * 224 for places in areas.values())
    middle = {level: places.mean(axis=0) for level, places in areas.items()}
    assert middle[10][1] < middle[60][1]
    assert middle[10][0] < middle[110][0]


def test_a_row_must_fill_the_columns() -> None:
    with pytest.raises(ValueError, match="zip"):
        sheets.draw("Title", ["a", "b"], [("NORMAL", [image(1)])])
