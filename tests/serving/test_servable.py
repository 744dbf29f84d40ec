"""Loading, warming up and running one version."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving import runtime, servable, warmup
from serving.errors import Code, ServingError
from tests.serving.tiny_model import export, png


def copy(exported: Path, to: Path) -> Path:
    shutil.copytree(exported / "1", to)
    return to


def test_the_outputs_are_those_of_the_saved_model(exported: Path) -> None:
    loaded = servable.load("pneumonia", 1, exported / "1")
    images = np.array([png(51), png(204)], object)

    for signature in ("predict_image", "cam"):
        names = sorted(loaded.signatures[signature].outputs)
        ours = loaded.run(signature, {"image_bytes": images}, names)
        direct = tf.saved_model.load(str(exported / "1")).signatures[signature](
            tf.constant([png(51), png(204)])
        )
        for name in names:
            np.testing.assert_array_equal(ours[name], direct[name].numpy())
            alone = loaded.run(signature, {"image_bytes": images}, [name])
            np.testing.assert_array_equal(alone[name], ours[name])
    loaded.close()


class Pictures(tf.Module):
    """Draws in a loop of its own, as the model does."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def serving_default(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        lengths = tf.map_fn(tf.strings.length, image_bytes, fn_output_signature=tf.int32)
        drawn = tf.map_fn(tf.io.decode_png, image_bytes, fn_output_signature=tf.uint8)
        return {"length": lengths, "drawn": drawn}


def test_what_nobody_asked_for_is_not_computed(tmp_path: Path) -> None:
    module = Pictures()
    tf.saved_model.save(module, str(tmp_path), signatures=module.serving_default)
    loaded = servable.load("pneumonia", 1, tmp_path)
    images = {"image_bytes": np.array([b"no picture"], object)}
    assert loaded.run("serving_default", images, ["length"])["length"].tolist() == [10]
    with pytest.raises(ServingError):
        loaded.run("serving_default", images, ["drawn"])
    loaded.close()


class Head(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.random.stateless_normal([512, 8], [1, 2]))

    @tf.function(input_signature=[tf.TensorSpec([None, 512], tf.float32, name="x")])
    def serving_default(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.matmul(x, self.kernel)}


class Convolution(tf.Module):
    """One convolution, as the network's are."""

    def __init__(self) -> None:
        self.kernel = tf.Variable(tf.random.stateless_normal([3, 3, 16, 32], [1, 2]))

    @tf.function(input_signature=[tf.TensorSpec([None, 32, 32, 16], tf.float32, name="x")])
    def serving_default(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.nn.relu(tf.nn.conv2d(x, self.kernel, 1, "SAME"))}


def in_both_precisions(path: Path, x: np.ndarray) -> list[np.ndarray]:
    answers = []
    for bfloat16 in (False, True):
        options = servable.SessionOptions(bfloat16=bfloat16)
        loaded = servable.load("pneumonia", 1, path, options)
        answers.append(loaded.run("serving_default", {"x": x}, ["y"])["y"])
        loaded.close()
    return answers


def test_bfloat16_leaves_a_dense_head_in_float32(tmp_path: Path) -> None:
    model = Head()
    tf.saved_model.save(model, str(tmp_path), signatures=model.serving_default)
    x = np.random.default_rng(0).random((4, 512), np.float32)

    exact, served = in_both_precisions(tmp_path, x)

    np.testing.assert_array_equal(served, exact)


def test_bfloat16_answers_nearly_the_same_in_float32(tmp_path: Path) -> None:
    model = Convolution()
    tf.saved_model.save(model, str(tmp_path), signatures=model.serving_default)
    x = np.random.default_rng(0).random((4, 32, 32, 16), np.float32)

    exact, close = in_both_precisions(tmp_path, x)

    assert close.dtype == np.float32
    np.testing.assert_allclose(close, exact, atol=0.01 * exact.max())
    if runtime.has_bfloat16():
        assert not np.array_equal(close, exact)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: (path / "saved_model.pb").unlink(),
        lambda path: (path / "saved_model.pb").write_bytes(b"\xff" * 100),
        lambda path: (path / "saved_model.pb").write_bytes(b""),
        lambda path: (path / "variables" / "variables.index").unlink(),
        lambda path: (path / "variables" / "variables.data-00000-of-00001").write_bytes(b"x"),
        lambda path: shutil.rmtree(path / "variables"),
    ],
    ids=["no graph", "garbage", "empty graph", "no index", "short variables", "no variables"],
)
def test_a_damaged_version_does_not_load(exported: Path, tmp_path: Path, damage: object) -> None:
    path = copy(exported, tmp_path / "1")
    damage(path)  # type: ignore[operator]

    with pytest.raises(ServingError) as caught:
        servable.load("pneumonia", 1, path)

    assert caught.value.message


def test_a_graph_without_the_tag_does_not_load(exported: Path) -> None:
    with pytest.raises(ServingError, match="tag"):
        servable.load("pneumonia", 1, exported / "1", servable.SessionOptions(tags=("gpu",)))


def test_a_run_stops_at_its_deadline(tmp_path: Path) -> None:
    slow = servable.load("slow", 1, export(tmp_path / "1", work=20_000))

    with pytest.raises(ServingError) as caught:
        slow.run("predict_image", {"image_bytes": np.array([png(1)], object)}, ["label"], 0.05)

    assert caught.value.code is Code.DEADLINE_EXCEEDED
    slow.close()


def write_warmup(path: Path, *records: bytes) -> None:
    with tf.io.TFRecordWriter(str(path / warmup.REQUESTS_FILE)) as writer:
        for record in records:
            writer.write(record)


def test_the_warm_up_requests_are_run_so_often(exported: Path) -> None:
    runs: list[str] = []
    loaded = servable.load(
        "pneumonia", 1, exported / "1", observe=lambda model, seconds: runs.append(model)
    )

    assert warmup.warm_up(loaded, exported / "1", iterations=3) == 1
    assert runs == ["pneumonia"] * 3
    loaded.close()


def test_a_version_without_warm_up_requests_is_fine(exported: Path, tmp_path: Path) -> None:
    loaded = servable.load("pneumonia", 1, exported / "1")

    assert warmup.warm_up(loaded, tmp_path) == 0
    loaded.close()


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (b"\xff\xff", Code.INVALID_ARGUMENT),
        (prediction_log_pb2.PredictionLog().SerializeToString(), Code.UNIMPLEMENTED),
    ],
)
def test_a_warm_up_request_that_cannot_be_run_fails_the_version(
    exported: Path, tmp_path: Path, record: bytes, code: object
) -> None:
    # servables/tensorflow/saved_model_warmup_util.cc
    path = copy(exported, tmp_path / "1")
    write_warmup(path, record)
    loaded = servable.load("pneumonia", 1, path)

    with pytest.raises(ServingError) as caught:
        warmup.warm_up(loaded, path)

    assert caught.value.code is code
    loaded.close()


def test_a_warm_up_file_that_is_no_tfrecord_says_so(exported: Path, tmp_path: Path) -> None:
    path = copy(exported, tmp_path / "1")
    (path / warmup.REQUESTS_FILE).write_bytes(b"not a TFRecord, and long enough to tell")
    loaded = servable.load("pneumonia", 1, path)

    with pytest.raises(ServingError, match="verify your warmup data is in TFRecord format"):
        warmup.warm_up(loaded, path)
    loaded.close()
