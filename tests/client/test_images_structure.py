"""DICOM films with one attribute made wrong: shown as the standard says, or refused in one line."""

import pytest

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
