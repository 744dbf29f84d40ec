"""Every change of test films that a model is asked about, and what a shortcut would make of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from components.counterfactuals import letters, looks
from components.counterfactuals.blending import (
    LungFilm,
    Pixels,
    Plane,
    blended,
    filled,
    laid_on,
    resized,
)

LETTERS: Final = "letters"
OUTSIDE: Final = "outside"
LOOKS: Final = "looks"
WIPED: Final = "wiped"
LUNGS: Final = "lungs"
_PLACES: Final = 2  # at which a letter is drawn on a film


@dataclass(frozen=True)
class Changed:
    """A changed film.

    kind: one of those above, what a bound is on. change: which one of the kind, in words. film,
    donor: positions among the films; a film that took nothing from another is its own donor.
    toward: the class that what was changed speaks for, 0 or 1.
    """

    kind: str
    change: str
    film: int
    donor: int
    toward: int
    pixels: Pixels


def of_films(films: Sequence[LungFilm], seed: int) -> Iterator[Changed]:
    """All changes of all films, one after another; the same for the same films and seed.

    Args:
        films: of both classes; without a film of the other class some changes are left out.
        seed: of donors, letters and places.
    """
    found = [letters.found(film) for film in films]
    for position, film in enumerate(films):
        rng = np.random.default_rng([seed, position])
        yield from _with_letters(films, found, position, rng)
        same, other = (
            _another(rng, films, position, label) for label in (film.label, 1 - film.label)
        )
        for donor, whose in ((same, "same class"), (other, "other class")):
            if donor is not None:
                pixels = outside_of(film, films[donor])
                change = f"outside of a film of the {whose}"
                yield Changed(OUTSIDE, change, position, donor, films[donor].label, pixels)
        look = looks.swap(film.pixels, film.label)
        yield Changed(LOOKS, "look of the other class", position, position, 1 - film.label, look)
        wiped = filled(film.pixels, film.mask)
        yield Changed(WIPED, "lungs wiped out", position, position, 0, wiped)
        if other is not None:
            pixels = lungs_of(film, films[other])
            change = "lungs of a film of the other class"
            yield Changed(LUNGS, change, position, other, 1 - film.label, pixels)


def outside_of(film: LungFilm, donor: LungFilm) -> Pixels:
    """The film with all that lies outside of both films' lungs taken from the donor.

    Args:
        film: keeps its lungs.
        donor: gives its surroundings, stretched to the film's size.

    Returns:
        uint8[H,W] of the film's size.
    """
    shape = film.pixels.shape
    around = resized(donor.pixels.astype(np.float32), shape)
    keep = np.maximum(film.mask, resized(donor.inside, shape))
    return blended(film.pixels, np.clip(around, 0, 255), keep)


def lungs_of(film: LungFilm, donor: LungFilm) -> Pixels:
    """The film with the donor's lungs, stretched to its own, in the place of its own.

    Args:
        film: keeps its surroundings.
        donor: gives its lungs.

    Returns:
        uint8[H,W] of the film's size.
    """
    moved, mask = laid_on(film, donor)
    return blended(moved, film.pixels, np.maximum(mask, film.mask))


def _with_letters(
    films: Sequence[LungFilm],
    found: Sequence[tuple[letters.Letter, Plane] | None],
    position: int,
    rng: np.random.Generator,
) -> Iterator[Changed]:
    film, side = films[position], min(films[position].pixels.shape)
    given = [(letters.drawn(rng, side), position, "letter drawn") for _ in range(_PLACES)]
    donors = [place for place, letter in enumerate(found) if letter and place != position]
    if donors:
        donor = int(rng.choice(donors))
        letter, _ = found[donor]  # type: ignore[misc]
        letter = letters.resized(letter, side / min(films[donor].pixels.shape))
        given.append((letter, donor, "letter of another film"))
    for letter, donor, change in given:
        pixels = letters.laid(film, letter, rng)
        if pixels is not None:
            yield Changed(LETTERS, change, position, donor, 1, pixels)
    if own := found[position]:
        pixels = letters.taken_away(film, own[1])
        yield Changed(LETTERS, "letter taken away", position, position, 0, pixels)


def _another(
    rng: np.random.Generator, films: Sequence[LungFilm], position: int, label: int
) -> int | None:
    places = [n for n, film in enumerate(films) if film.label == label and n != position]
    return int(rng.choice(places)) if places else None
