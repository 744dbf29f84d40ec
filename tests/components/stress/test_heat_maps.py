"""Heat maps that look beside the lungs, or do not matter to the model, are found."""

import io
import math

import numpy as np
import pytest
from PIL import Image

from components.stress import heat_maps

SIDE = 112


def heat_at(rows: slice, columns: slice) -> np.ndarray:
    heat = np.zeros((1, SIDE, SIDE), np.float32)
    heat[0, rows, columns] = 1
    return heat


LUNGS = heat_at(slice(30, 80), slice(25, 87))
INSIDE = heat_at(slice(40, 60), slice(40, 60))
CORNER = heat_at(slice(0, 15), slice(0, 15))


def encode(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def reads(heat: np.ndarray):
    """A model that looks at one place only: its mean brightness is the probability."""

    def predict(images):
        films = [np.asarray(Image.open(io.BytesIO(image)), np.float32) for image in images]
        return np.array([film[heat[0] > 0].mean() / 255 for film in films], np.float32)

    return predict


def test_heat_in_the_lungs_is_not_flagged():
    (place,) = heat_maps.place(INSIDE, LUNGS)
    assert place.lungs == pytest.approx(1)
    assert place.corners == 0
    assert not place.flagged


def test_heat_on_a_marker_in_a_corner_is_flagged():
    (place,) = heat_maps.place(CORNER, LUNGS)
    assert (place.lungs, place.corners) == (0, pytest.approx(1))
    assert place.flagged


def test_even_heat_is_what_chance_gives():
    (place,) = heat_maps.place(np.ones_like(LUNGS), LUNGS)
    assert place.lungs == pytest.approx(place.by_chance)


def test_where_no_lungs_were_found_the_corners_alone_count():
    nowhere = np.ones_like(LUNGS)
    (inside,), (corner,) = (heat_maps.place(heat, nowhere) for heat in (INSIDE, CORNER))
    assert math.isnan(inside.lungs)
    assert not inside.flagged
    assert corner.flagged


def test_a_map_without_heat_has_no_place():
    assert heat_maps.place(np.zeros_like(LUNGS), LUNGS) == []


def bright_square() -> np.ndarray:
    film = np.full((SIDE, SIDE), 40, np.uint8)
    film[INSIDE[0] > 0] = 255
    return film


def test_a_map_of_what_the_model_reads_is_faithful():
    found = heat_maps.curves([bright_square()], INSIDE, reads(INSIDE), encode)
    assert found.is_faithful
    assert found.deletion[0] == pytest.approx(1)
    assert found.deletion[1] < 0.6  # the square is 3 % of the film
    assert found.insertion[1] > found.insertion[0]
    assert found.insertion[-1] == pytest.approx(found.deletion[0])


def test_a_map_of_another_place_is_not():
    found = heat_maps.curves([bright_square()], CORNER, reads(INSIDE), encode)
    last = heat_at(slice(80, 112), slice(80, 112))
    assert found.deletion[1] == pytest.approx(1)
    assert not heat_maps.curves([bright_square()], last, reads(INSIDE), encode).is_faithful


def test_likeness_tells_equal_maps_from_unrelated_ones():
    generator = np.random.default_rng(0)
    maps, others = generator.random((2, 6, 14, 14)).astype(np.float32)
    assert heat_maps.likeness(maps, maps) == pytest.approx(1)
    assert heat_maps.likeness(maps, -maps) == pytest.approx(1)
    assert heat_maps.likeness(maps, others) < 0.2
