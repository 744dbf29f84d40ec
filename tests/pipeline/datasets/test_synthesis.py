import csv
import io
import re
import subprocess
import sys
from collections import Counter, defaultdict

import numpy as np
import pytest
from PIL import Image

import cli
from client.images import read
from pipeline.datasets import synthesis
from pipeline.datasets.synthesis import Recipe, SynthesisError, synthesize
from pipeline.datasets.synthetic import files, film
from pipeline.datasets.synthetic.anatomy import random_anatomy
from pipeline.datasets.synthetic.plan import plan

PUBLIC_NAME = re.compile(
    r"(NORMAL2-)?IM-\d{4}-0001(-\d{4})?\.\w+|person\d+_(bacteria|virus)_\d+\.\w+"
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "set"
    synthesize(folder, Recipe(images=60, seed=20, dicom=True))
    return folder


@pytest.fixture
def quick(monkeypatch):
    """For the tests of folders: films need not be drawn."""
    none = np.zeros((film.GRID, film.GRID), bool)
    blank = film.DrawnFilm(np.zeros((8, 8), np.uint16), none, none)
    monkeypatch.setattr(film, "render", lambda *_: blank)


def _content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _twins(seed, etiology="bacteria"):
    anatomy = random_anatomy(np.random.default_rng(seed))
    opacities = film.random_opacities(np.random.default_rng(seed), anatomy, etiology)
    return (
        film.render(anatomy, [], np.random.default_rng(seed)),
        film.render(anatomy, opacities, np.random.default_rng(seed)),
    )


def test_the_default_set_has_both_classes_everywhere_and_40_positives_in_test():
    counts = Counter((planned.split, planned.label) for planned in plan(280, 20, dicom=False))
    assert min(counts.values()) >= 5
    assert len(counts) == 6
    assert counts["test", "PNEUMONIA"] >= 40


def test_names_are_unique_and_like_the_public_sets():
    names = [planned.path.rpartition("/")[2] for planned in plan(280, 20, dicom=True)]
    assert len(set(names)) == len(names) == 280
    assert all(PUBLIC_NAME.fullmatch(name) for name in names)


def test_a_patient_stays_in_one_split_and_class_and_some_have_several_films():
    places = defaultdict(set)
    films = plan(280, 20, dicom=False)
    for planned in films:
        places[planned.patient_id].add((planned.split, planned.label))
    assert all(len(found) == 1 for found in places.values())
    assert 0.6 < len(places) / len(films) < 0.9


@pytest.mark.parametrize("dicom", [False, True])
def test_both_classes_have_the_same_mix_of_file_formats(dicom):
    films = plan(400, 1, dicom)
    shares = []
    for label in ("NORMAL", "PNEUMONIA"):
        kinds = Counter(planned.kind for planned in films if planned.label == label)
        shares.append({kind: count / kinds.total() for kind, count in kinds.items()})
    assert shares[0].keys() == shares[1].keys()
    assert all(abs(share - shares[1][kind]) < 0.04 for kind, share in shares[0].items())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("etiology", ["bacteria", "virus"])
def test_only_the_opacity_tells_a_sick_film_from_its_healthy_twin(seed, etiology):
    healthy, sick = _twins(seed, etiology)
    change = sick.pixels.astype(float) - healthy.pixels
    grid = np.asarray(Image.fromarray(change.astype(np.float32)).resize((32, 32), Image.BOX))
    assert not healthy.truth.any()
    assert sick.truth.any()
    assert grid[sick.truth].mean() > 150  # of 4095
    assert np.median(np.abs(grid[~sick.truth])) < 10
    assert sick.truth.flat[np.argmax(grid)]


def test_the_heart_lies_on_the_images_right():
    for seed in range(3):
        healthy, _ = _twins(seed)
        rows, columns = healthy.pixels.shape
        band = healthy.pixels[int(0.55 * rows) : int(0.7 * rows)].mean(axis=0)
        left = band[int(0.28 * columns) : int(0.42 * columns)].mean()
        right = band[int(0.58 * columns) : int(0.72 * columns)].mean()
        assert right > left + 100


def test_a_patients_films_show_the_same_anatomy_in_another_pose():
    anatomy = random_anatomy(np.random.default_rng(1))
    one, other = (film.render(anatomy, [], np.random.default_rng(seed)) for seed in (1, 2))
    assert one.pixels.shape != other.pixels.shape


def test_the_same_recipe_draws_the_same_bytes(tmp_path):
    recipe = Recipe(images=20, seed=9)
    for name in ("one", "other"):
        synthesize(tmp_path / name, recipe)
    assert _content(tmp_path / "one") == _content(tmp_path / "other")


def test_another_seed_draws_another_set():
    assert plan(20, 9, dicom=False) != plan(20, 10, dicom=False)
    one, other = (_twins(seed)[0].pixels for seed in (9, 10))
    assert one.shape != other.shape


def test_each_file_says_that_it_is_synthetic(drawn):
    import pydicom

    for path in drawn.glob("*/*/*"):
        if path.suffix == ".dcm":
            assert "SYNTHETIC" in pydicom.dcmread(path).ImageComments
            continue
        with Image.open(path) as image:
            comment = image.info["comment" if path.suffix == ".jpeg" else "Comment"]
            corner = np.asarray(image)[-image.height // 12 :, : image.width // 5]
        assert b"SYNTHETIC" in (comment if isinstance(comment, bytes) else comment.encode())
        assert (corner > 200).mean() > 0.01  # letters
        assert corner.min() < 100  # on their shade


def test_the_truth_names_every_film_and_marks_the_sick_ones(drawn):
    truth = synthesis.read_truth(drawn)
    assert set(truth) == {str(path.relative_to(drawn)) for path in drawn.glob("*/*/*")}
    for path, grid in truth.items():
        assert grid.shape == (32, 32)
        assert grid.any() == ("PNEUMONIA" in path)


def test_the_manifest_lists_every_film_with_its_folders_label(drawn):
    with (drawn / synthesis.MANIFEST).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "patient_id", "split", "etiology", "source"]
    assert {row["path"] for row in rows} == set(synthesis.read_truth(drawn))
    for row in rows:
        split, label, _ = row["path"].split("/")
        assert (row["split"], row["label"], row["source"]) == (split, label, "synthetic")
        assert (row["etiology"] == "normal") == (label == "NORMAL")


def test_dicoms_hold_both_interpretations_of_the_same_picture(drawn):
    import pydicom
    from pydicom.pixels import apply_voi_lut

    kinds = {pydicom.dcmread(path).PhotometricInterpretation for path in drawn.glob("*/*/*.dcm")}
    assert kinds == {"MONOCHROME1", "MONOCHROME2"}
    pixels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    shown = {}
    for kind in ("monochrome1", "monochrome2"):
        data = pydicom.dcmread(pydicom.filebase.DicomBytesIO(files.encode(pixels, kind, "p", 90)))
        shown[kind] = apply_voi_lut(data.pixel_array, data)
    np.testing.assert_allclose(4095 - shown["monochrome1"], shown["monochrome2"], atol=1.01)
    np.testing.assert_allclose(shown["monochrome2"], pixels, atol=1.01)


def test_brightness_alone_tells_little(drawn):
    bright = {
        label: [
            np.asarray(Image.open(io.BytesIO(read(path).data))).mean()
            for path in drawn.glob(f"*/{label}/*")
        ]
        for label in ("NORMAL", "PNEUMONIA")
    }
    above = np.greater.outer(bright["PNEUMONIA"], bright["NORMAL"])
    assert 0.4 < above.mean() < 0.6


def test_the_same_recipe_leaves_a_finished_set_alone(drawn):
    before = {path: path.stat().st_mtime_ns for path in drawn.rglob("*")}
    assert synthesize(drawn, Recipe(images=60, seed=20, dicom=True)) is False
    assert before == {path: path.stat().st_mtime_ns for path in drawn.rglob("*")}


def test_another_recipe_takes_the_old_sets_place(tmp_path, quick):
    out = tmp_path / "set"
    synthesize(out, Recipe(images=20, seed=1))
    (out / "train" / "left-over").touch()
    synthesize(out, Recipe(images=21, seed=1))
    assert len(synthesis.read_truth(out)) == 21
    assert not (out / "train" / "left-over").exists()


def test_a_folder_with_something_else_is_refused_and_untouched(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(SynthesisError, match="holds something else"):
        synthesize(tmp_path / "mine", Recipe(images=20))
    assert _content(tmp_path) == {"mine/thesis.txt": b"years of work"}


def test_a_fault_half_way_leaves_nothing(tmp_path, monkeypatch, quick):
    encode, calls = files.encode, iter(range(100))

    def faulty(*args):
        if next(calls) == 7:
            raise OSError(28, "No space left on device")
        return encode(*args)

    monkeypatch.setattr(files, "encode", faulty)
    with pytest.raises(OSError, match="No space left"):
        synthesize(tmp_path / "set", Recipe(images=20))
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_does_not_hinder_the_next(tmp_path, quick):
    (tmp_path / ".set.part" / "train").mkdir(parents=True)
    synthesize(tmp_path / "set", Recipe(images=20))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_the_command_says_what_it_did(tmp_path, capsys, quick):
    out = tmp_path / "new" / "set"
    assert cli.main(["data", "synthesize", str(out), "--images", "20"]) == 0
    assert "20 synthetic films, drawn" in capsys.readouterr().out
    assert cli.main(["data", "synthesize", str(out), "--images", "20"]) == 0
    assert "there already" in capsys.readouterr().out


def test_the_command_refuses_in_one_line(tmp_path, capsys):
    assert cli.main(["data", "synthesize", str(tmp_path), "--images", "3"]) == 2
    assert capsys.readouterr().err == "pneumonia data: --images 3: give at least 20\n"


def test_drawing_needs_no_tensorflow():
    drawing = "pipeline.datasets.synthesis, pipeline.commands.data"
    code = f"import sys, {drawing}; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
