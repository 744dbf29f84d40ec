import io
import os
import re

import numpy as np
import pytest
from PIL import Image, ImageFilter
from rich.console import Console

import cli
from components.ingest.entry import IngestError
from components.ingest.settings import DataConfig
from pipeline.datasets.check import check
from pipeline.datasets.check_page import print_tables, write_page
from pipeline.datasets.synthetic import files
from tests.components.ingest.xray_sets import ingest


def _film(seed):
    """A picture of its own, with the brightness and sharpness of all others."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(120, 40, (24, 24)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(coarse).resize((72, 72), Image.Resampling.BICUBIC)


def _save(image, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


@pytest.fixture
def folder(tmp_path):
    """Fifty films of either class, none of which is odd."""
    for number in range(50):
        _save(_film(number), tmp_path / f"set/train/NORMAL/IM-{number:04d}-0001.jpeg")
        sick = f"set/train/PNEUMONIA/person{number}_virus_{number}.jpeg"
        _save(_film(1000 + number), tmp_path / sick)
    return tmp_path / "set"


def _checked(folder):
    return check(folder, DataConfig(file_names=True))


def _texts(folder, level):
    return [finding.text for finding in _checked(folder).findings if finding.level == level]


def _change(folder, change):
    for path in folder.glob("train/PNEUMONIA/*"):
        _save(change(Image.open(path)), path)


def test_a_sound_set_has_no_problems(folder):
    found = _checked(folder)
    assert {finding.level for finding in found.findings} == {"note"}
    assert {comparison.verdict for comparison in found.comparisons.values()} == {"alike"}
    assert (found.seen, found.rejects, found.duplicates, found.near) == (100, [], [], [])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda film: film.point(lambda v: min(255, v + 60)), "Brightness is higher in PNEUMONIA"),
        (lambda film: film.filter(ImageFilter.GaussianBlur(3)), "Sharpness is lower in PNEUMONIA"),
        (lambda film: film.resize((80, 80)), "Width is higher in PNEUMONIA"),
        (lambda film: film.convert("RGB"), "Colour is higher in PNEUMONIA"),
    ],
)
def test_a_class_that_looks_different_is_a_shortcut(folder, change, words):
    _change(folder, change)
    problems = _texts(folder, "problem")
    assert any(text.startswith(words) and "shortcut" in text for text in problems)
    assert any("taken together" in text for text in problems)


def test_identical_and_resaved_films_are_found(folder):
    first, second, third = sorted(folder.glob("train/NORMAL/*"))[:3]
    (first.parent / "IM-9000-0001.jpeg").write_bytes(first.read_bytes())
    _save(Image.open(second), first.parent / "IM-9001-0001.jpeg", quality=60)
    _save(Image.open(third), first.parent / "IM-9002-0001.png")
    found = _checked(folder)
    (group,) = found.duplicates
    assert sorted(film.name for film in group) == [
        "train/NORMAL/IM-0000-0001.jpeg",
        "train/NORMAL/IM-9000-0001.jpeg",
    ]
    pairs = {tuple(sorted(film.name[-17:] for film in pair)) for pair in found.near}
    assert pairs == {
        ("IM-0001-0001.jpeg", "IM-9001-0001.jpeg"),
        ("/IM-9002-0001.png", "IM-0002-0001.jpeg"),
    }


def test_the_same_bytes_under_both_classes_are_a_problem(folder):
    film = next(folder.glob("train/NORMAL/*"))
    (folder / "train/PNEUMONIA/person999_virus_1.jpeg").write_bytes(film.read_bytes())
    assert any("the same bytes stand under both" in text for text in _texts(folder, "problem"))


def test_a_patient_in_test_and_train_is_a_problem(folder):
    for number in range(60, 80):
        _save(_film(number), folder / f"test/NORMAL/IM-{number:04d}-0001.jpeg")
        _save(_film(number + 300), folder / f"test/PNEUMONIA/person{number}_virus_1.jpeg")
    _save(_film(5000), folder / "test/PNEUMONIA/person7_virus_9999.jpeg")
    found = _checked(folder)
    assert [reject.name for reject in found.rejects] == ["train/PNEUMONIA/person7_virus_7.jpeg"]
    assert any("in the test folder too" in text for text in _texts(folder, "problem"))


def test_a_missing_class_is_a_problem(tmp_path):
    for number in range(20):
        _save(_film(number), tmp_path / f"NORMAL/IM-{number:04d}-0001.jpeg")
    assert "There is no PNEUMONIA film for train." in _texts(tmp_path, "problem")


def test_files_that_cannot_be_used_are_named_with_the_reason(folder):
    whole = next(folder.glob("train/NORMAL/*")).read_bytes()
    (folder / "train/NORMAL/cut.jpeg").write_bytes(whole[: len(whole) // 2])
    (folder / "train/NORMAL/note.jpeg").write_text("see overleaf")
    (folder / "train/NORMAL/empty.png").touch()
    rejects = {reject.name: reject.reason for reject in _checked(folder).rejects}
    assert rejects == {
        "train/NORMAL/cut.jpeg": "truncated",
        "train/NORMAL/note.jpeg": "not_an_image",
        "train/NORMAL/empty.png": "not_an_image",
    }


def _shown(folder, tmp_path):
    found, console = _checked(folder), Console(file=io.StringIO(), width=200)
    print_tables(found, console)
    write_page(found, tmp_path / "pages" / "page.html")
    return console.file.getvalue(), (tmp_path / "pages" / "page.html").read_text(encoding="utf-8")


def test_the_page_loads_nothing_and_shows_films(folder, tmp_path):
    _, page = _shown(folder, tmp_path)
    assert page.count('src="data:image/jpeg;base64,') >= 24
    assert not re.search(r"""(src|href)=["'](?!data:)|url\(|@import|<script|<link""", page)
    assert [path.name for path in (tmp_path / "pages").iterdir()] == ["page.html"]


def test_hostile_file_names_do_no_harm(folder, tmp_path):
    place = os.fsencode(folder / "train/NORMAL")
    whole = next(folder.glob("train/NORMAL/*")).read_bytes()
    names = [b"<script>alert(1)<", b"[red]bold[", b"line\nbreak", b"\xff\xfe", "肺炎".encode()]
    for name in names:
        (folder / "train/NORMAL" / os.fsdecode(name + b".jpeg")).write_bytes(whole)
        with open(place + b"/" + name + b".txt", "wb") as file:  # noqa: PTH123 as bytes
            file.write(b"no picture")
    console, page = _shown(folder, tmp_path)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "[red]bold[.txt" in page
    assert "肺炎" in page
    assert "line�break" in console + page


def test_a_dicoms_patient_is_shown_nowhere(folder, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(12):
        pixels = rng.integers(0, 4096, (64, 64), dtype=np.uint16)
        content = files.encode(pixels, "monochrome1", f"MILLER-{number}", 90)
        (folder / f"train/NORMAL/MILLER-{number}.dcm").write_bytes(content)
    console, page = _shown(folder, tmp_path)
    assert "dicom" in console
    assert "MILLER" not in console + page


def test_the_command_prints_tables_and_writes_the_page(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["data", "check", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "NORMAL" in shown
    assert "runs/data-check/set.html" in shown
    assert (tmp_path / "runs/data-check/set.html").is_file()


def test_the_table_of_splits_is_what_ingest_writes(folder, tmp_path):
    config = {"file_names": True, "limit_per_class": 20}
    found = check(folder, DataConfig(**config), seed=7)
    written = ingest(folder, tmp_path / "ingested", seed=7, **config).by_name()
    shown = {film.name: split for split, films in found.splits.items() for film in films}
    assert shown == {name: film["split"] for name, film in written.items()}
    assert (len(shown), found.left_out.total()) == (40, 60)


def test_the_command_takes_seed_and_limit_from_the_configuration(folder, tmp_path, capsys):
    words = ["--set", "data.limit_per_class=20", "--html", str(tmp_path / "page.html")]
    pages = set()
    for seed in (7, 8):
        assert cli.main(["data", "check", str(folder), *words, "--set", f"seed={seed}"]) == 0
        assert "60 files are left out" in " ".join(capsys.readouterr().out.split())
        pages.add((tmp_path / "page.html").read_bytes())
    assert len(pages) == 2


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_folder_without_x_rays_is_bad_usage_in_one_line(tmp_path, capsys, name):
    (tmp_path / "empty").mkdir()
    assert cli.main(["data", "check", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert str(tmp_path / name) in error
    with pytest.raises(IngestError):
        _checked(tmp_path / name)


@pytest.mark.xrays
def test_the_public_sets_duplicates_and_its_shortcut_are_found(xrays):
    found = _checked(xrays / "kermany224")
    assert found.seen == len(found.films) == 5232
    assert len(found.duplicates) == 24  # of the 30 in the whole set, the test folder's are not here
    assert found.comparisons["bytes_per_pixel"].verdict == "shortcut"
    assert found.comparisons["sharpness"].auc < 0.4  # the normal films were saved sharper
