"""The SavedModel answers as the contract says, with TensorFlow alone."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components import names
from components.model import signatures
from components.model.reexport import reexport
from pipeline.datasets.synthetic.anatomy import random_anatomy
from pipeline.datasets.synthetic.film import render
from tests.components import trainer_harness as harness
from tests.components.trainer_harness import Trained

SCORES = {
    names.PROBABILITY: tf.float32,
    names.THRESHOLD: tf.float32,
    names.LABEL: tf.int64,
    names.QUALITY: tf.float32,
    names.FAMILIARITY: tf.float32,
    names.FEATURES: tf.float32,
}
MAPS = {
    **SCORES,
    names.HEATMAP: tf.float32,
    names.LUNGS: tf.float32,
    names.OVERLAY: tf.string,
}
PREDICT, CAM, DEFAULT = names.PREDICT_IMAGE, names.CAM, names.SERVING_DEFAULT

ALONE = """
import sys
for package in ("pipeline", "tensorflow_transform", "tfx", "tf_keras", "apache_beam"):
    sys.modules[package] = None  # importing it fails
import pathlib
import numpy as np
import tensorflow as tf

model, films, out = sys.argv[1:]
images = [path.read_bytes() for path in sorted(pathlib.Path(films).iterdir())]
loaded = tf.saved_model.load(model)
cam = loaded.signatures["cam"](image_bytes=tf.constant(images))
np.savez(out, probability=cam["probability"], heatmap=cam["heatmap"])
"""


def films(count: int) -> list[bytes]:
    """JPEG and PNG, sick and healthy, of several sizes."""
    make = (harness.jpeg, harness.png)
    return [
        make[i % 2](i // 2 % 2, 5000 + i, 60 + i % 7 * 20, 64 + i % 5 * 30) for i in range(count)
    ]


def ask(trained: Trained, signature: str, images: list[bytes]) -> dict[str, np.ndarray]:
    function = trained.loaded.signatures[signature]
    if signature != DEFAULT:
        outputs = function(image_bytes=tf.constant(images, tf.string, [len(images)]))
    else:
        examples = [tf.train.Example() for _ in images]
        for example, image in zip(examples, images, strict=True):
            example.features.feature[names.IMAGE].bytes_list.value.append(image)
        serialized = [example.SerializeToString() for example in examples]
        outputs = function(examples=tf.constant(serialized, tf.string, [len(images)]))
    return {name: tensor.numpy() for name, tensor in outputs.items()}


@pytest.mark.parametrize(
    ("signature", "argument", "outputs"),
    [
        (DEFAULT, names.EXAMPLES, SCORES),
        (PREDICT, names.IMAGE_BYTES, SCORES),
        (CAM, names.IMAGE_BYTES, MAPS),
    ],
)
def test_names_and_types_are_the_contracts(
    trained: Trained, signature: str, argument: str, outputs: dict[str, tf.DType]
) -> None:
    function = trained.loaded.signatures[signature]
    (_, inputs) = function.structured_input_signature
    assert {name: (spec.dtype, spec.shape.rank) for name, spec in inputs.items()} == {
        argument: (tf.string, 1)
    }
    found = {name: spec.dtype for name, spec in function.structured_outputs.items()}
    assert found == outputs


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 40])
@pytest.mark.parametrize("signature", [DEFAULT, PREDICT, CAM])
def test_every_output_has_a_row_for_each_film(trained: Trained, signature: str, count: int) -> None:
    outputs = ask(trained, signature, films(count))
    assert {len(value) for value in outputs.values()} == {count}
    if signature == CAM:
        assert outputs[names.HEATMAP].shape == (count, 224, 224)


def test_all_signatures_agree_and_a_batch_is_its_films_one_by_one(trained: Trained) -> None:
    images = films(20)
    batch = {name: ask(trained, name, images) for name in (DEFAULT, PREDICT, CAM)}
    single = [ask(trained, PREDICT, [image])[names.PROBABILITY][0] for image in images]
    for outputs in batch.values():
        np.testing.assert_allclose(outputs[names.PROBABILITY], single, atol=1e-5)
    labels = batch[PREDICT][names.LABEL]
    assert labels.tolist() == (np.array(single) >= batch[PREDICT][names.THRESHOLD]).tolist()
    assert set(labels) == {0, 1}


def test_a_loaded_model_needs_tensorflow_alone(trained: Trained, tmp_path: Path) -> None:
    images = films(6)
    folder = tmp_path / "films"
    folder.mkdir()
    for i, image in enumerate(images):
        (folder / f"{i}").write_bytes(image)
    out = tmp_path / "out.npz"
    arguments = [str(path) for path in (trained.model, folder, out)]
    subprocess.run([sys.executable, "-c", ALONE, *arguments], check=True, cwd=tmp_path)
    expected = ask(trained, CAM, images)
    with np.load(out) as found:
        for name in (names.PROBABILITY, names.HEATMAP):
            np.testing.assert_allclose(found[name], expected[name], atol=1e-5)


def test_a_version_is_written_anew_without_training(trained: Trained, tmp_path: Path) -> None:
    reexport(trained.model, tmp_path / "anew")
    loaded = tf.saved_model.load(str(tmp_path / "anew"))
    anew = replace(trained, model=tmp_path / "anew", loaded=loaded)
    images = films(5)
    for signature in (DEFAULT, PREDICT, CAM):
        before, after = ask(trained, signature, images), ask(anew, signature, images)
        assert before.keys() == after.keys()
        for name in before.keys() - {names.OVERLAY}:
            np.testing.assert_allclose(after[name], before[name], atol=1e-5)
    assert (tmp_path / "anew" / "assets.extra" / "training.json").is_file()


def test_the_heat_lies_on_the_sick_films_patch(trained: Trained) -> None:
    sick = ask(trained, CAM, [harness.png(1, 7000 + i) for i in range(12)])
    healthy = ask(trained, CAM, [harness.png(0, 7000 + i) for i in range(12)])
    heat = sick[names.HEATMAP]
    assert heat.min() >= 0
    for maps in (sick, healthy):
        assert (maps[names.HEATMAP].max(axis=(1, 2)) <= maps[names.PROBABILITY]).all()
    assert sick[names.LABEL].mean() > 0.9
    assert heat.mean() > 3 * healthy[names.HEATMAP].mean()


def test_the_lungs_lie_where_they_are_on_the_whole_film(trained: Trained) -> None:
    draw = np.random.default_rng(7)
    drawn = render(random_anatomy(draw), [], draw)
    film = tf.io.encode_png((drawn.pixels >> 4).astype(np.uint8)[..., None]).numpy()
    (lungs,) = ask(trained, CAM, [film])[names.LUNGS]
    truth = tf.image.resize(drawn.lungs.astype(np.float32)[..., None], [224, 224])[..., 0] > 0.5
    overlap = 2 * np.sum((lungs > 0.5) & truth) / (np.sum(lungs > 0.5) + np.sum(truth))
    assert overlap > 0.85


def test_the_heat_lies_in_the_lungs(trained: Trained) -> None:
    sick = [harness.png(1, 7000 + i) for i in range(12)]
    found = ask(trained, CAM, sick)
    heat, lungs = found[names.HEATMAP], found[names.LUNGS]
    assert (heat <= lungs).all()


def test_an_overlay_is_a_picture_of_the_films_shape(trained: Trained) -> None:
    (overlay,) = ask(trained, CAM, [harness.jpeg(1, 1, 90, 150)])[names.OVERLAY]
    assert tf.io.decode_png(overlay).shape == (90, 150, 3)


@pytest.mark.parametrize("signature", [DEFAULT, PREDICT, CAM])
@pytest.mark.parametrize(
    "bad", [b"", b"not an image", harness.jpeg(1, 1)[:200], harness.png(1, 1)[:200]]
)
def test_one_bad_film_refuses_the_batch(trained: Trained, signature: str, bad: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        ask(trained, signature, [harness.png(1, 1), bad])


def test_an_example_without_an_image_is_refused(trained: Trained) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="image/encoded"):
        trained.loaded.signatures[DEFAULT](examples=tf.constant([b""]))


def test_at_no_time_are_more_than_sixteen_films_worked_on() -> None:
    seen: list[int] = []

    def lengths(part: tf.Tensor) -> tf.Tensor:
        seen.append(len(part))
        return tf.strings.length(part)

    def work(part: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"row": tf.ensure_shape(tf.py_function(lengths, [part], tf.int32), [None])}

    @tf.function
    def run(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return signatures._in_slices(work, images, {"row": tf.TensorSpec([None], tf.int32)})

    assert run(tf.constant(["ab"] * 1000))["row"].numpy().tolist() == [2] * 1000
    assert max(seen) == 16
    assert sum(seen) == 1000


def test_the_model_holds_each_weight_once(trained: Trained) -> None:
    imagenet = sum(
        int(np.prod(shape))
        for shape in tf.train.load_checkpoint(str(trained.model / "variables" / "variables"))
        .get_variable_to_shape_map()
        .values()
    )
    model = trained.loaded
    judge = model.judge.weights.values()
    variables = (*model.weights, model.whitening, model.usual, *judge)
    parameters = sum(variable.shape.num_elements() for variable in variables)
    assert imagenet - parameters < 20  # the operating point, save counter and object graph
    assert (trained.model / "saved_model.pb").stat().st_size < 2**20
