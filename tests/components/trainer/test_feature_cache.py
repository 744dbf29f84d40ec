"""Features are computed once, found again, and never trusted when they are damaged."""

import functools
import os
import shutil
import time
from collections import namedtuple
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.model import imagenet, network
from components.model.settings import ModelConfig
from components.trainer import feature_cache, frozen
from tests.components import trainer_harness as harness

SEEDS = range(50)  # a hundred films: a full shard and a part


@functools.cache
def trunk(seed: int = 3) -> keras.Model:
    arrays = imagenet.load("random", width=0.125, seed=seed)
    return network.build(harness.SIZE, ModelConfig(weights="random", width=0.125), arrays).trunk


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [harness.write_examples(tmp_path_factory.mktemp("films") / "examples", SEEDS)]


@pytest.fixture(scope="module")
def computed(examples: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("computed")
    compute(examples, folder)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def filled(computed: Path, cache: Path) -> Path:
    """A cache that holds the examples' features."""
    return Path(shutil.copytree(computed, cache))


def compute(examples: list[str], cache: Path, seed: int = 3) -> feature_cache.Features:
    return feature_cache.compute(trunk(seed), examples, cache, "train")


def forbid_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(feature_cache, "_extract", refuse)


def test_features_are_the_trunks_outputs_in_the_examples_order(
    examples: list[str], cache: Path
) -> None:
    found = compute(examples, cache)
    films = np.stack([harness.film(label, seed) for seed in SEEDS for label in (0, 1)])
    np.testing.assert_array_equal(found.labels, [0, 1] * len(SEEDS))
    rows = np.concatenate([rows for rows, _ in found.batches(7)])
    assert rows.dtype == np.float16
    np.testing.assert_allclose(rows, trunk()(films), rtol=2e-3, atol=2e-3)


def test_the_second_time_nothing_is_computed(
    examples: list[str], filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compute(examples, filled)
    forbid_computing(monkeypatch)
    again = compute(examples, filled)
    assert again.shards == first.shards
    assert again.seconds == 0


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_a_damaged_shard_alone_is_computed_again(
    examples: list[str], filled: Path, damage: str
) -> None:
    first = compute(examples, filled)
    broken, whole = first.shards
    content = bytearray(broken.read_bytes())
    kept = whole.stat().st_ino
    if damage == "remove":
        broken.unlink()
    else:
        broken.write_bytes(content[:-100] if damage == "truncate" else content[:-1] + b"\x7f")
    again = compute(examples, filled)
    assert set(again.shards) == set(first.shards)
    assert broken.read_bytes() == content
    assert whole.stat().st_ino == kept


def test_films_that_join_a_set_cost_their_own_features_alone(
    examples: list[str], filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compute(examples, filled)
    computed = []
    extract = feature_cache._extract

    def counted(model, pngs, progress):
        computed.append(len(pngs))
        return extract(model, pngs, progress)

    monkeypatch.setattr(feature_cache, "_extract", counted)
    new = range(1000, 1003)
    grown = compute([harness.write_examples(tmp_path / "grown", [*new, *SEEDS])], filled)

    assert sum(computed) == 2 * len(new)
    everything = np.arange(len(first))
    np.testing.assert_array_equal(grown.read(everything + 2 * len(new)), first.read(everything))


def test_other_weights_never_meet_these_features(examples: list[str], filled: Path) -> None:
    assert not set(compute(examples, filled, 3).shards) & set(compute(examples, filled, 4).shards)


def test_a_shuffled_epoch_holds_each_film_once_with_its_label(
    examples: list[str], filled: Path
) -> None:
    found = compute(examples, filled)
    known = {row.tobytes(): label for row, label in zip(*next(found.batches(1000)), strict=True)}
    batches = list(found.shuffled(32, seed=1, epoch=1))
    assert [len(labels) for _, labels in batches] == [32, 32, 32, 4]
    shuffled = {
        row.tobytes(): label
        for rows, labels in batches
        for row, label in zip(rows, labels, strict=True)
    }
    assert shuffled == known


def order(features: feature_cache.Features, seed: int, epoch: int) -> np.ndarray:
    """Rounded: the last digit of a film's features depends on how many share its batch."""
    rows = np.concatenate([rows for rows, _ in features.shuffled(9, seed, epoch)])
    return rows.astype(np.float32).mean(axis=(1, 2, 3)).round(2)


def test_the_order_follows_seed_and_epoch_and_not_the_order_of_the_files(
    examples: list[str], filled: Path, tmp_path: Path
) -> None:
    found = compute(examples, filled)
    assert (order(found, 1, 1) != order(found, 1, 2)).any()
    assert (order(found, 1, 1) != order(found, 2, 1)).any()
    other = compute([harness.write_examples(tmp_path / "other", reversed(SEEDS))], filled)
    assert other.digest == found.digest
    np.testing.assert_allclose(order(other, 1, 1), order(found, 1, 1), atol=0.02)


def test_the_digest_tells_other_films(examples: list[str], filled: Path, tmp_path: Path) -> None:
    other = harness.write_examples(tmp_path / "other", range(1, 51))
    assert compute([other], filled).digest != compute(examples, filled).digest


def test_no_examples_is_an_error_that_names_the_split(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(ValueError, match="the train split holds no examples"):
        compute([harness.write_examples(tmp_path / "empty", [])], cache)
    with pytest.raises(ValueError, match="no file matches"):
        compute([str(tmp_path / "nowhere" / "*")], cache)


def test_a_full_disk_is_said_before_the_work(
    examples: list[str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")(10**12, 10**12, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    forbid_computing(monkeypatch)
    with pytest.raises(OSError, match=r"the features need .* make room"):
        compute(examples, cache)


def test_what_was_not_used_for_longest_goes_first(cache: Path) -> None:
    folder = cache / "trunk"
    folder.mkdir(parents=True)
    days = {"today": 0.5, "yesterday": 1.5, "last week": 7, "last month": 30}
    for name, age in days.items():
        path = folder / f"{name}.npy"
        path.write_bytes(bytes(1000))
        os.utime(path, (time.time() - age * 86400,) * 2)
    feature_cache.prune(cache, 2500)
    assert {path.stem for path in folder.iterdir()} == {"today", "yesterday"}
    feature_cache.prune(cache, 0)
    assert {path.stem for path in folder.iterdir()} == {"today"}


def test_using_a_shard_keeps_it(examples: list[str], filled: Path) -> None:
    for path in filled.glob("*/*.npy"):
        os.utime(path, (0, 0))
    compute(examples, filled)
    feature_cache.prune(filled, 0)
    assert list(filled.glob("*/*.npy"))


def test_reading_a_shard_to_search_it_does_not_keep_it(filled: Path) -> None:
    for path in filled.glob("*/*.npy"):
        os.utime(path, (time.time(), 0))
    feature_cache.prune(filled, 0)
    assert not list(filled.glob("*/*.npy"))


def test_activations_beyond_float16_stay_finite(tmp_path: Path, cache: Path) -> None:
    grey = keras.Input((harness.SIZE, harness.SIZE, 1), dtype="uint8")
    large = keras.Model(grey, keras.layers.Rescaling(1e4)(grey))
    examples = [harness.write_examples(tmp_path / "few", range(2))]
    found = feature_cache.compute(large, examples, cache, "train")
    rows, _ = next(found.batches(4))
    assert np.isfinite(rows).all()
    assert rows.max() == tf.float16.max


# The trunk in int8


@pytest.fixture(scope="module")
def quick(examples: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds the examples' features in int8, and the trunk that they came of."""
    folder = tmp_path_factory.mktemp("quick")
    in_int8(examples, folder)
    return folder


def in_int8(examples: list[str], cache: Path) -> feature_cache.Features:
    return feature_cache.compute(trunk(), examples, cache, "train", "int8")


def test_int8_features_are_nearly_the_exact_ones_and_the_lungs_are_those(
    examples: list[str], filled: Path, quick: Path
) -> None:
    exact, found = compute(examples, filled), in_int8(examples, quick)
    assert found.hashes == exact.hashes
    assert not set(found.shards) & set(exact.shards)

    ours, theirs = (split.read(np.arange(100)).astype(np.float32) for split in (found, exact))
    np.testing.assert_allclose(ours[..., -1], theirs[..., -1], atol=0.05)
    assert 0 < np.abs(ours - theirs)[..., :-1].mean() < 0.05 * np.abs(theirs[..., :-1]).mean()


def test_films_that_join_are_seen_by_the_same_int8_trunk(
    examples: list[str], quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Path(shutil.copytree(quick, tmp_path / "cache"))
    before = in_int8(examples, cache)
    for shard in before.shards[1:]:
        shard.unlink()
    monkeypatch.setattr(frozen, "_quantise", None)

    again = in_int8(examples, cache)

    assert again.seconds > 0
    everything = np.arange(100)
    assert np.array_equal(again.read(everything), in_int8(examples, quick).read(everything))


def test_a_damaged_int8_trunk_is_made_again(
    examples: list[str], quick: Path, tmp_path: Path
) -> None:
    cache = Path(shutil.copytree(quick, tmp_path / "cache"))
    for shard in cache.glob("*/*.npy"):
        shard.unlink()
    (network,) = cache.glob("*-trunk/*.xml")
    network.write_text("<net>")

    in_int8(examples, cache)

    assert "</net>" in network.read_text()
