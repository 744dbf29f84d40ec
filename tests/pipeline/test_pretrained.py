"""A model travels without what everybody has, and answers as before where it arrives."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components import names
from components.model import imagenet
from components.pusher import versions
from pipeline import pretrained
from pipeline.pretrained import PretrainedError, pack, unpack
from tests.components import trainer_harness as harness
from tests.components.trainer_harness import Trained


@pytest.fixture(autouse=True)
def public_weights(monkeypatch: pytest.MonkeyPatch) -> imagenet.ImagenetWeights:
    """The weights that the thin model started from, as those that everybody has."""
    start = imagenet.load("random", width=harness.MODEL.width, seed=7)
    monkeypatch.setattr(imagenet, "load", lambda *_, **__: start)
    return start


@pytest.fixture
def packed(trained: Trained, tmp_path: Path) -> Path:
    pack(trained.model, tmp_path / "packed", "make it")
    return tmp_path / "packed"


def probabilities(model: Path) -> np.ndarray:
    films = tf.constant([harness.jpeg(i % 2, 7000 + i) for i in range(8)])
    signature = tf.saved_model.load(str(model)).signatures[names.PREDICT_IMAGE]
    return signature(image_bytes=films)[names.PROBABILITY].numpy()


def test_what_arrives_answers_as_what_was_packed(
    trained: Trained, packed: Path, tmp_path: Path
) -> None:
    version = unpack(tmp_path / "serving", packed)
    arrived = tmp_path / "serving" / str(version)
    np.testing.assert_allclose(probabilities(arrived), probabilities(trained.model), atol=0.01)
    for file in ("model_card.md", "training.json", "tf_serving_warmup_requests"):
        assert (arrived / "assets.extra" / file).is_file()


def test_the_frozen_blocks_do_not_travel(
    packed: Path, public_weights: imagenet.ImagenetWeights
) -> None:
    with np.load(packed / "trained.npz") as stored:
        travelling = {array.tobytes() for array in stored.values()}
    kernels = {name for name in public_weights.arrays if name.endswith("kernel")}
    frozen = {name for name in kernels if not name.startswith("block5")}
    assert not travelling & {public_weights.arrays[name].tobytes() for name in frozen}
    manifest = pretrained._manifest(packed)
    assert kernels & set(manifest["shared"].values()) == frozen
    assert manifest["made_by"] == "make it"


def test_a_folder_of_something_else_is_not_replaced(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "one.png").write_bytes(b"a film")
    with pytest.raises(PretrainedError, match="holds no packed model"):
        pack(trained.model, tmp_path / "films", "")
    assert (tmp_path / "films" / "one.png").read_bytes() == b"a film"


def test_it_is_unpacked_once(packed: Path, tmp_path: Path) -> None:
    first = unpack(tmp_path / "serving", packed)
    assert unpack(tmp_path / "serving", packed) == first
    assert versions.versions(tmp_path / "serving") == [first]


def test_what_was_pushed_since_stays_served(packed: Path, tmp_path: Path) -> None:
    first = unpack(tmp_path / "serving", packed)
    (tmp_path / "serving" / str(first + 9)).mkdir()
    assert unpack(tmp_path / "serving", packed) == first + 9
    assert versions.versions(tmp_path / "serving") == [first, first + 9]


def test_damage_is_found_before_anything_is_served(packed: Path, tmp_path: Path) -> None:
    content = bytearray((packed / "trained.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (packed / "trained.npz").write_bytes(content)
    with pytest.raises(PretrainedError, match=r"trained\.npz is damaged"):
        unpack(tmp_path / "serving", packed)
    assert not versions.versions(tmp_path / "serving")


def test_other_public_weights_are_refused(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = imagenet._random(harness.MODEL.width, 21)
    monkeypatch.setattr(imagenet, "load", lambda *_, **__: others)
    with pytest.raises(PretrainedError, match="other ImageNet weights"):
        unpack(tmp_path / "serving", packed)
    assert not versions.versions(tmp_path / "serving")


def test_nothing_packed_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(PretrainedError, match="holds no packed model"):
        unpack(tmp_path / "serving", tmp_path)


def test_weights_that_float16_cannot_hold_are_not_published(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "_difference", lambda *_: 0.2)
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "manifest.json").write_text("the former one")
    with pytest.raises(PretrainedError, match=r"differ by 0\.200"):
        pack(trained.model, tmp_path / "packed", "")
    assert [path.name for path in tmp_path.iterdir()] == ["packed"]
    assert (tmp_path / "packed" / "manifest.json").read_text() == "the former one"
