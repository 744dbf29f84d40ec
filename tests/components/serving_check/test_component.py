"""ServingCheck with real server processes on small models."""

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import tensorflow as tf
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.artifact import Artifact

from components import names
from components.serving_check.component import ServingCheck
from tests.components.evaluator.gate_harness import artifact_at, cases, write_examples, write_model


@pytest.fixture(autouse=True)
def no_server_is_left() -> Iterator[None]:
    yield
    children = psutil.Process().children(recursive=True)
    assert not [child for child in children if "serving" in child.cmdline()]


def try_model(folder: Path) -> tuple[Artifact, dict]:
    """Runs the component's executor on the model in the folder, as TFX does."""
    write_examples(folder / "examples" / "Split-test", cases(tp=2, fn=1, fp=1, tn=4))
    examples = artifact_at(standard_artifacts.Examples, folder / "examples")
    examples.split_names = artifact_utils.encode_split_names(["test"])
    blessing = artifact_at(standard_artifacts.InfraBlessing, folder / "infra")
    ServingCheck.test_call(
        model=artifact_at(standard_artifacts.Model, folder / "model"),
        examples=examples,
        infra_blessing=blessing,
        code_version="",
        count=6,
    )
    return blessing, json.loads((folder / "infra" / "serving_check.json").read_text())


def test_a_model_that_answers_as_evaluated_is_blessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)  # too deep for a socket's path
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    write_model(tmp_path / "model")
    blessing, findings = try_model(tmp_path)
    assert blessing.get_int_custom_property("blessed") == 1
    assert findings["ok"], findings
    assert findings["examples"] == 6
    assert findings["largest_difference"] <= 1e-5
    assert set(findings["latency_ms"]) == {names.PREDICT_IMAGE, names.CAM}


def test_a_signature_that_answers_otherwise_withholds_the_blessing(tmp_path: Path) -> None:
    write_model(tmp_path / "model", image_error=0.001)
    blessing, findings = try_model(tmp_path)
    assert blessing.get_int_custom_property("blessed") == 0
    assert not findings["ok"]
    assert findings["summary"].startswith("predict_image: a probability is off by 0.001")
    assert not [fault for fault in findings["faults"] if not fault.startswith("predict_image")]


def test_a_model_whose_warm_up_fails_withholds_the_blessing(tmp_path: Path) -> None:
    extra = write_model(tmp_path / "model") / "assets.extra"
    extra.mkdir()
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
        writer.write(b"no warm-up request")
    blessing, findings = try_model(tmp_path)
    assert blessing.get_int_custom_property("blessed") == 0
    assert "warmup" in findings["summary"]


def test_a_model_that_cannot_be_loaded_withholds_the_blessing(tmp_path: Path) -> None:
    (write_model(tmp_path / "model") / "saved_model.pb").write_bytes(b"half a file")
    blessing, findings = try_model(tmp_path)
    assert blessing.get_int_custom_property("blessed") == 0
    assert findings["summary"].startswith("cannot be called")
    assert "\n" not in findings["summary"]


def test_a_model_without_maps_withholds_the_blessing(tmp_path: Path) -> None:
    class NoMaps(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, rows: tf.Tensor) -> dict[str, tf.Tensor]:
            half = tf.fill([tf.size(rows)], 0.5)
            return {
                names.PROBABILITY: half,
                names.THRESHOLD: half,
                names.LABEL: tf.ones([tf.size(rows)], tf.int64),
            }

    module = NoMaps()
    by_example = tf.function(lambda examples: module(examples))
    by_image = tf.function(lambda image_bytes: module(image_bytes))
    strings = tf.TensorSpec([None], tf.string)
    tf.saved_model.save(
        module,
        str(tmp_path / "model" / "Format-Serving"),
        signatures={
            names.SERVING_DEFAULT: by_example.get_concrete_function(examples=strings),
            names.PREDICT_IMAGE: by_image.get_concrete_function(image_bytes=strings),
            names.CAM: by_image.get_concrete_function(image_bytes=strings),
        },
    )
    blessing, findings = try_model(tmp_path)
    assert blessing.get_int_custom_property("blessed") == 0
    assert findings["faults"][:2] == [
        "cam: the heat map has the shape (0,)",
        "cam: the overlay is not one PNG a row",
    ]


def test_a_server_that_does_not_start_withholds_the_blessing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "model")
    broken = tmp_path / "broken" / "serving"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("")
    (broken / "__main__.py").write_text("raise SystemExit('no such flag')")
    monkeypatch.chdir(broken.parent)
    blessing, findings = try_model(tmp_path)
    assert blessing.get_int_custom_property("blessed") == 0
    assert findings["summary"] == "the server ended at once (1): no such flag"
