"""What is unlike the training films is told from what is like them."""

from pathlib import Path

import numpy as np
import pytest

from components.model import familiarity
from components.model.familiarity import Familiarity
from components.trainer.feature_cache import Features, averages

CHANNELS = 40


def split(folder: Path, rows: np.ndarray) -> Features:
    """A cached split whose averaged features are the given rows."""
    folder.mkdir()
    shard = folder / "0.npy"
    features = np.repeat(rows[:, None, None], 4, axis=1).astype(np.float16)
    np.save(shard, np.array([(features,)], [("features", np.float16, features.shape)]))
    return Features(
        labels=np.arange(len(rows)) % 2,
        hashes=tuple(b"%d" % row for row in range(len(rows))),
        shards=(shard,),
        places=np.stack([np.zeros(len(rows), int), np.arange(len(rows))], axis=1),
        shape=(4, 1, CHANNELS),
        seconds=0.0,
    )


def films(count: int, seed: int) -> np.ndarray:
    """Features that vary in five directions only, all of them correlated; three never fire."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(9).normal(size=(5, CHANNELS))
    rows = 10 + rng.normal(size=(count, 5)) @ directions + 0.1 * rng.normal(size=(count, CHANNELS))
    rows[:, :3] = 0
    return rows


def fitted(train: Features, val: Features) -> Familiarity:
    return familiarity.fit(averages(train), averages(val))


@pytest.fixture
def learned(tmp_path: Path) -> Familiarity:
    return fitted(split(tmp_path / "train", films(300, 0)), split(tmp_path / "val", films(80, 1)))


def test_films_of_the_same_kind_are_familiar(learned: Familiarity) -> None:
    found = learned.score(films(500, 2))
    assert (found >= 0.5).mean() > 0.98
    assert np.median(found) > 0.95


def test_other_pictures_are_not(learned: Familiarity) -> None:
    rng = np.random.default_rng(3)
    strangers = {
        "another direction": 10 + 2 * rng.normal(size=(50, CHANNELS)),
        "all dark": np.zeros((1, CHANNELS)),
        "what never fired fires": films(50, 4) + 3 * (np.arange(CHANNELS) < 3),
    }
    for name, rows in strangers.items():
        assert (learned.score(rows) < 0.1).all(), name


def test_familiarity_lies_between_zero_and_one_however_far(learned: Familiarity) -> None:
    rows = np.stack([learned.mean, np.full(CHANNELS, 1e4, np.float32)])
    found = learned.score(rows)
    assert found == pytest.approx([1, 0], abs=1e-6)


def test_fewer_films_than_channels_are_enough(tmp_path: Path) -> None:
    few = fitted(split(tmp_path / "a", films(12, 0)), split(tmp_path / "b", films(6, 1)))
    assert np.isfinite(few.score(films(20, 2))).all()
    assert few.spread > 0
