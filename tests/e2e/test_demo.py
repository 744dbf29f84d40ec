"""One whole job as the demo does it: the real VGG-16 at 224 pixels on synthetic X-rays."""

import json
import subprocess
import sys

import pytest

from pipeline.datasets.synthesis import read_truth
from tests.e2e.conftest import DONE, ROOT, settings

FEW_PICTURES = ("report.cam_films=2", "report.films_per_gallery=2")
ONLY_TENSORFLOW = """
import json, sys
import numpy as np, tensorflow as tf
files = json.load(sys.stdin)
signatures = tf.saved_model.load(sys.argv[1]).signatures
images = [open(file, "rb").read() for file in files]
examples = [
    tf.train.Example(features=tf.train.Features(feature={
        "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image]))
    })).SerializeToString()
    for image in images
]
cam = signatures["cam"](image_bytes=tf.constant(images))
some = slice(None, None, 4)
default = signatures["serving_default"](examples=tf.constant(examples[some]))
plain = signatures["predict_image"](image_bytes=tf.constant(images[some]))
print(json.dumps({
    "label": cam["label"].numpy().tolist(),
    "cam": cam["probability"].numpy().tolist(),
    "serving_default": default["probability"].numpy().tolist(),
    "predict_image": plain["probability"].numpy().tolist(),
    "hottest": [int(np.argmax(heat)) for heat in cam["heatmap"].numpy()],
    "side": cam["heatmap"].shape[1],
    "tft": "tensorflow_transform" in sys.modules,
}))
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory, pneumonia):
    """A finished demo: its folder and the test films."""
    cwd = tmp_path_factory.mktemp("demo")
    assert pneumonia(cwd, "data", "synthesize", "xrays").returncode == DONE
    config = ROOT / "configs" / "demo.yaml"
    words = ["run", "--data", "xrays", "--config", str(config), *settings(*FEW_PICTURES)]
    ended = pneumonia(cwd, *words)
    assert ended.returncode == DONE, ended.stdout + ended.stderr
    return cwd, sorted((cwd / "xrays/test").rglob("*.*"))


@pytest.fixture(scope="module")
def answers(demo):
    """What the pushed model says of the test films, in a process that has only TensorFlow."""
    cwd, films = demo
    (version,) = (cwd / "runs/demo/serving/pneumonia").glob("[0-9]*")
    answered = subprocess.run(
        [sys.executable, "-c", ONLY_TENSORFLOW, str(version)],
        input=json.dumps([str(film) for film in films]),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(answered.stdout)


def test_the_signatures_agree_with_each_other_and_with_the_evaluation(demo, answers, pneumonia):
    cwd, films = demo
    for signature in ("serving_default", "predict_image"):
        assert answers[signature] == pytest.approx(answers["cam"][::4], abs=1e-5)
    assert not answers["tft"]
    report = json.loads(pneumonia(cwd, "report", "--json").stdout)
    counts = report["evaluation"]["overall"]["counts"]
    called = [film for film, label in zip(films, answers["label"], strict=True) if label]
    true = sum(film.parent.name == "PNEUMONIA" for film in called)
    assert (counts["true_positives"], counts["false_positives"]) == (true, len(called) - true)


def test_the_heat_lies_on_the_drawn_opacity(demo, answers):
    cwd, films = demo
    truth = read_truth(cwd / "xrays")
    hits = []
    for film, label, hottest in zip(films, answers["label"], answers["hottest"], strict=True):
        if label and film.parent.name == "PNEUMONIA":
            opacity = truth[film.relative_to(cwd / "xrays").as_posix()]
            row, column = divmod(hottest, answers["side"])
            scale = len(opacity) / answers["side"]
            hits.append(bool(opacity[int(row * scale), int(column * scale)]))
    assert len(hits) >= 30
    assert sum(hits) / len(hits) >= 0.70
