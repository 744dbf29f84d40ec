"""Augmenter as TFX runs it: on files of transformed examples, by Beam."""

import collections
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import artifact_utils, channel_utils
from tfx.types.standard_artifacts import Examples

from components import names
from components.augmenter import component
from components.augmenter.component import Augmenter, ContactSheet
from components.augmenter.plan import make_plan
from components.image.settings import AugmentConfig, ImageConfig
from components.settings import plain

RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"
NORMAL, PNEUMONIA = 0, 1


def row(number: int, label: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 1), dtype=np.uint8)
    example = tf.train.Example()
    values = example.features.feature
    values[names.IMAGE_PNG].bytes_list.value.append(tf.io.encode_png(pixels).numpy())
    values[names.LABEL].int64_list.value.append(label)
    values[names.SOURCE].bytes_list.value.append(f"film {number}".encode())
    return example.SerializeToString(deterministic=True)


ROWS = [row(number, NORMAL) for number in range(7)] + [
    row(number, PNEUMONIA) for number in range(7, 30)
]


def write(file: Path, rows: list[bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file), "GZIP") as writer:
        for each in rows:
            writer.write(each)


def read(folder: Path) -> list[bytes]:
    files = sorted(map(str, folder.iterdir()))
    return list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())


def values(serialized: bytes) -> tuple[str, int, bytes]:
    found = tf.train.Example.FromString(serialized).features.feature
    return (
        found[names.SOURCE].bytes_list.value[0].decode(),
        found[names.LABEL].int64_list.value[0],
        found[names.IMAGE_PNG].bytes_list.value[0],
    )


def augment(
    folder: Path,
    files: list[list[bytes]],
    seed: int = 3,
    originals: float = 0.0,
    beam_args: Sequence[str] = (RUNNER,),
    **config: float,
) -> Path:
    """Runs the executor; the folder then holds Split-train and Split-val, and sheets."""
    examples, augmented, sheet = Examples(), Examples(), ContactSheet()
    examples.uri, augmented.uri, sheet.uri = (str(folder / name) for name in ("in", "out", "png"))
    examples.split_names = artifact_utils.encode_split_names([names.TRAIN, names.VAL])
    for number, rows in enumerate(files):
        write(folder / "in" / "Split-train" / f"transformed_examples-{number}.gz", rows)
    write(folder / "in" / "Split-val" / "transformed_examples-0.gz", ROWS[5:9])
    for name in ("out", "png"):
        (folder / name).mkdir(parents=True)
    Augmenter.EXECUTOR_SPEC.executor_class(
        BaseBeamExecutor.Context(beam_pipeline_args=[*beam_args])
    ).Do(
        {"examples": [examples]},
        {"augmented_examples": [augmented], "contact_sheet": [sheet]},
        {
            "augment_config": json.dumps(plain(AugmentConfig(originals=originals, **config))),
            "image_config": json.dumps(plain(ImageConfig())),
            "seed": seed,
            "code_version": "1",
        },
    )
    looks = names.VAL_LOOKS if config.get("val_looks") else ()
    splits = artifact_utils.decode_split_names(augmented.split_names)
    assert splits == [names.TRAIN, names.VAL, *looks]
    return folder / "out"


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return augment(tmp_path_factory.mktemp("augmenter"), [ROWS])


def test_the_minority_is_brought_up_evenly_and_the_originals_stay(output: Path) -> None:
    rows = read(output / "Split-train")
    labels = collections.Counter(values(each)[1] for each in rows)
    assert labels == {NORMAL: 23, PNEUMONIA: 23}
    assert set(ROWS) <= set(rows)
    per_film = collections.Counter(values(each)[0] for each in rows)
    assert {per_film[f"film {number}"] for number in range(7)} == {3, 4}  # 16 copies for 7 films
    assert {per_film[f"film {number}"] for number in range(7, 30)} == {1}


def test_no_two_copies_are_alike(output: Path) -> None:
    images = [values(each)[2] for each in read(output / "Split-train")]
    assert len(set(images)) == len(images)
    assert {tf.io.decode_png(image).shape for image in images} == {(32, 32, 1)}


def test_a_sequential_reader_meets_no_class_blocks(output: Path) -> None:
    labels = [values(each)[1] for each in read(output / "Split-train")]
    changes = sum(first != second for first, second in itertools.pairwise(labels))
    assert changes > len(labels) / 4  # half of them, were it a fair coin


def test_val_is_copied_byte_for_byte_and_nothing_else_is_left(output: Path) -> None:
    name = "transformed_examples-0.gz"
    source = output.with_name("in") / "Split-val" / name
    assert (output / "Split-val" / name).read_bytes() == source.read_bytes()
    assert {path.name for path in output.iterdir()} == {"Split-train", "Split-val"}


def test_both_contact_sheets_are_pictures(output: Path) -> None:
    for name in ("augmentation.png", "segmentation.png"):
        sheet = tf.io.decode_png((output.with_name("png") / name).read_bytes())
        assert min(sheet.shape[:2]) > 400
        assert np.std(sheet.numpy()) > 10


@pytest.fixture
def no_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of the time of a run this small."""
    monkeypatch.setattr(component.sheets, "write", lambda *_: None)


@pytest.mark.usefixtures("no_sheets")
def test_order_and_files_of_the_input_do_not_matter(output: Path, tmp_path: Path) -> None:
    again = augment(tmp_path, [ROWS[20:], ROWS[:20][::-1]])
    assert read(again / "Split-train") == read(output / "Split-train")


@pytest.mark.usefixtures("no_sheets")
def test_the_number_of_parts_decides_the_order_only(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(component, "_PART_BYTES", 8_000)
    again = augment(tmp_path, [ROWS])
    assert len(list((again / "Split-train").iterdir())) > 1
    assert sorted(read(again / "Split-train")) == sorted(read(output / "Split-train"))


@pytest.mark.usefixtures("no_sheets")
def test_another_seed_gives_other_copies(output: Path, tmp_path: Path) -> None:
    again = augment(tmp_path, [ROWS], seed=4)
    assert set(read(again / "Split-train")) & set(read(output / "Split-train")) == set(ROWS)


@pytest.mark.usefixtures("no_sheets")
def test_originals_can_be_augmented_themselves(tmp_path: Path) -> None:
    rows = read(augment(tmp_path, [ROWS], originals=1.0, balance=0.0) / "Split-train")
    assert not set(rows) & set(ROWS)
    assert sorted(values(each)[:2] for each in rows) == sorted(values(each)[:2] for each in ROWS)


@pytest.mark.usefixtures("no_sheets")
def test_every_image_gets_as_many_versions_and_none_is_like_another(tmp_path: Path) -> None:
    rows = read(augment(tmp_path, [ROWS], originals=1.0, balance=1.0, versions=3) / "Split-train")
    labels = collections.Counter(values(each)[1] for each in rows)
    assert labels == {NORMAL: 3 * 23, PNEUMONIA: 3 * 23}
    assert len({values(each)[2] for each in rows}) == len(rows)


@pytest.mark.usefixtures("no_sheets")
def test_identical_films_are_augmented_differently(tmp_path: Path) -> None:
    rows = read(augment(tmp_path, [[ROWS[0], ROWS[0], *ROWS[7:13]]]) / "Split-train")
    normal = [each for each in rows if values(each)[1] == NORMAL]
    assert len(normal) == 6
    assert len(set(normal)) == 5  # the two originals are the same


@pytest.mark.usefixtures("no_sheets")
def test_each_look_of_val_holds_every_film_once_and_changed(tmp_path: Path) -> None:
    out = augment(tmp_path, [ROWS], val_looks=True, objects=1.0)
    val = sorted(values(each)[:2] for each in ROWS[5:9])
    as_it_is = {values(each)[2] for each in ROWS[5:9]}
    found = {}
    for look in names.VAL_LOOKS:
        rows = [values(each) for each in read(out / f"Split-{look}")]
        assert sorted(row[:2] for row in rows) == val
        found[look] = {row[2] for row in rows}
    assert not found["val_changed"] & as_it_is
    assert not found["val_both"] & as_it_is
    assert {path.name for path in out.iterdir()} == {
        f"Split-{split}" for split in (names.TRAIN, names.VAL, *names.VAL_LOOKS)
    }


@pytest.mark.usefixtures("no_sheets")
def test_what_lies_outside_the_lungs_depends_on_neither_order_nor_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = augment(tmp_path / "a", [ROWS], outside=1.0, objects=1.0, versions=2)
    monkeypatch.setattr(component, "_PART_BYTES", 8_000)
    again = augment(
        tmp_path / "b", [ROWS[12:], ROWS[:12][::-1]], outside=1.0, objects=1.0, versions=2
    )
    assert sorted(read(once / "Split-train")) == sorted(read(again / "Split-train"))


@pytest.mark.parametrize(
    ("normal", "pneumonia", "balance", "added"),
    [(10, 30, 1.0, 20), (30, 10, 0.5, 5), (10, 30, 0.2, 0), (10, 10, 1.0, 0), (0, 5, 1.0, 0)],
)
def test_the_plan_reaches_the_wanted_balance(
    normal: int, pneumonia: int, balance: float, added: int
) -> None:
    images = [(NORMAL, f"n{number}") for number in range(normal)]
    images += [(PNEUMONIA, f"p{number}") for number in range(pneumonia)]
    plan = make_plan(images, balance)
    assert sum(plan.copies_of(label, f"{key}-0000") for label, key in images) == added


def test_the_component_wires_as_the_pipeline_does() -> None:
    component = Augmenter(
        examples=channel_utils.as_channel([Examples()]),
        augment_config="{}",
        image_config="{}",
        seed=1,
        code_version="version",
    )
    assert set(component.outputs) == {"augmented_examples", "contact_sheet"}
    assert component.exec_properties["code_version"] == "version"
