"""DICOM films with one attribute made wrong: shown as the standard says, or refused in one line."""

import pytest

from client import images
from tests.client.image_files import dicom
from tests.fuzz import films


@pytest.mark.parametrize("first", range(0, 300, 60))
def test_films_with_an_attribute_made_wrong(first):
    for seed in range(first, first + 60):
        films.check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(300, 1300, 500))
def test_a_thousand_more_films_with_an_attribute_made_wrong(first):
    for seed in range(first, first + 500):
        films.check(seed)


@pytest.mark.parametrize(
    ("keyword", "vr", "value", "said"),
    [
        ("PixelData", "IS", 5, "without pixels"),
        ("PixelData", "OW", None, "without pixels"),
        ("PixelRepresentation", "US", 65_535, "PixelRepresentation"),
        ("PhotometricInterpretation", "DS", 1, "in colour, not MONOCHROME"),
        ("SamplesPerPixel", "UI", "1.2", "SamplesPerPixel"),
        ("NumberOfFrames", "IS", [7, 2], "7 frames"),
    ],
)
def test_what_stands_in_the_place_of_another_value_is_named(keyword, vr, value, said):
    def put(dataset, keyword):
        dataset.pop(keyword, None)
        dataset.add_new(keyword, vr, value)

    with pytest.raises(images.ImageError, match=said):
        images.read(films.spoiled(dicom(), keyword, put))
