"""What the lung network is taught with."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.image.lung_network import trained_weights
from pipeline.lungs import changes, judge, others, teachers


@pytest.fixture(scope="module")
def drawn() -> teachers.Teachers:
    return teachers.drawn(3, seed=5)


def test_drawn_films_come_in_all_forms_with_their_lungs(drawn: teachers.Teachers) -> None:
    assert drawn.films.shape == (3 * len(teachers.FORMS), teachers.SIDE, teachers.SIDE)
    assert drawn.films.dtype == np.uint8
    assert ((drawn.lungs.mean(axis=(1, 2)) > 0.15) & (drawn.lungs.mean(axis=(1, 2)) < 0.7)).all()


def test_a_changed_film_keeps_its_lungs_where_they_are(drawn: teachers.Teachers) -> None:
    tf.random.set_seed(3)
    # A film that is its own outline: after any change of place, bright is still lung.
    lungs = drawn.lungs.astype(np.float32)
    marks = tf.zeros([96, 128, 128])
    films, moved = changes.change(tf.constant(255 * lungs), tf.constant(lungs), marks)
    films, inside = films.numpy(), moved.numpy() > 0.5
    assert films.shape == inside.shape == (len(lungs), 128, 128)
    for film, lung in zip(films, inside, strict=True):
        assert film[lung].mean() > film[~lung].mean() + 30


def test_an_outline_beside_its_lungs_is_slid_back(drawn: teachers.Teachers) -> None:
    beside = teachers.Teachers(drawn.films, np.roll(drawn.lungs, 11, axis=2))
    slid = teachers.slid(beside, trained_weights())
    for outline, truth in zip(slid.lungs, drawn.lungs, strict=True):
        assert teachers.dice(outline, truth) > 0.93


def test_a_folder_without_outlines_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no NAME"):
        teachers.outlined(tmp_path, judging=False)


def test_held_back_films_are_a_fifth_and_always_the_same() -> None:
    held = [teachers.held_back(Path(f"any/folder/{number}.jpg")) for number in range(1000)]
    assert 150 < sum(held) < 250
    assert held == [teachers.held_back(Path(f"{number}.jpg")) for number in range(1000)]


def test_spoilt_films_and_others_are_pictures(drawn: teachers.Teachers) -> None:
    rng = np.random.default_rng(1)
    pictures = [judge.spoilt(rng, drawn.films[0], drawn.lungs[0]) for _ in range(40)]
    pictures += [others.other(rng) for _ in range(40)]
    assert {picture.shape for picture in pictures} == {(teachers.SIDE, teachers.SIDE)}
    assert {picture.dtype for picture in pictures} == {np.dtype(np.uint8)}
    assert all(picture.std() > 3 for picture in pictures)
