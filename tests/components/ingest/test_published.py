"""Public sets and spreadsheets as they come: each film is counted once, and what is odd is said."""

import csv
import io

import pytest

from components.ingest import listing, manifest, report, tables
from components.ingest.entry import IngestError
from components.ingest.settings import DataConfig
from pipeline.datasets.check import check
from tests.client.image_files import encoded, grey
from tests.components.ingest import published_sets
from tests.components.ingest.xray_sets import both_classes, films, ingest, write


@pytest.mark.parametrize(
    ("lay_out", "count"),
    [
        *((shape, 60) for shape in published_sets.SHAPES),
        pytest.param(published_sets.rsna, 1000, marks=pytest.mark.slow),
    ],
)
def test_a_set_as_it_is_published_is_ingested_and_its_ledger_adds_up(tmp_path, lay_out, count):
    base, config, left_out = lay_out(tmp_path / "set", count)
    found = ingest(base, tmp_path / "out", **config)
    told = found.report
    assert (told.seen, told.left_out) == (count - left_out, left_out)
    assert told.written == told.seen, found.rejects()
    assert sum(split["films"] for split in told.splits.values()) == told.written
    assert all(told.splits["train"][name] for name in ("NORMAL", "PNEUMONIA"))
    assert sum("left out" in note for note in told.notes) == len(
        {entry.left_out for entry in listing.entries(base, DataConfig(**config))} - {""}
    )


def _labels(base, **config):
    return {
        entry.path.rpartition("/")[2]: entry.left_out or (entry.label, entry.patient)
        for entry in listing.entries(base, DataConfig(**config))
    }


def test_a_film_of_rsna_has_the_label_of_its_boxes_and_counts_once(tmp_path):
    base, *_ = published_sets.rsna(tmp_path, 6)
    found = list(listing.entries(base))
    assert [entry.label for entry in found] == [1, 0, 0, 1, 0, 0]
    assert all(entry.path == f"stage_2_train_images/{entry.patient}.dcm" for entry in found)


def test_nih_and_chexpert_leave_out_what_is_neither(tmp_path):
    nih, *_ = published_sets.nih(tmp_path / "nih", 4)
    assert _labels(nih) == {
        "00000001_000.png": (0, "1"),
        "00000001_001.png": (1, "1"),
        "00000001_002.png": (0, "1"),
        "00000002_000.png": tables.OTHER_FINDING,
    }
    chexpert, *_ = published_sets.chexpert(tmp_path / "chexpert", 6)
    found = [entry.left_out or entry.label for entry in listing.entries(chexpert)]
    uncertain, other, lateral = found[3:]
    assert found[:3] == [0, 1, 0]
    assert "uncertain" in uncertain
    assert other == tables.OTHER_FINDING
    assert "lateral" in lateral


def test_films_of_a_published_table_that_were_not_fetched_are_left_out_and_told(tmp_path):
    base, *_ = published_sets.nih(tmp_path / "set", 240)
    for path in base.glob("images_00[1-6]/images/*"):
        path.unlink()
    told = ingest(base, tmp_path / "out").report
    assert told.seen + told.left_out == 240
    assert any("not below its folder" in note for note in told.notes)
    for path in base.glob("images_*/images/*"):
        path.unlink()
    with pytest.raises(IngestError, match="none of its 240 films lies below its folder"):
        listing.fingerprint(base)


def test_folders_of_classes_count_before_a_published_table_beside_them(tmp_path):
    base, *_ = published_sets.nih(tmp_path, 8)
    write(base, {"train/Normal/a.png": b"x"})
    with pytest.raises(IngestError, match="holds images but is no class"):
        list(listing.entries(base))


def test_of_several_published_tables_one_is_to_be_named(tmp_path):
    base, *_ = published_sets.chexpert(tmp_path, 20)
    (base / "valid.csv").write_bytes((base / "train.csv").read_bytes())
    with pytest.raises(IngestError, match=r"several tables: train.csv, valid.csv; name one"):
        listing.fingerprint(base)
    assert listing.fault(base / "train.csv") is None
    assert len(list(listing.entries(base / "train.csv"))) == 20


def test_a_table_of_ones_own_is_read_by_the_columns_and_words_that_the_settings_name(tmp_path):
    (tmp_path / "manifest.csv").write_text(
        "File;Befund;Fall\na.png;Erguss|Pneumonie;7\nb.png;o.B.;8\nc.png;Erguss;9\n"
    )
    columns = {"path": "File", "label": "Befund", "patient_id": "Fall"}
    words = {"positive": ("pneumonie",), "negative": ("O.B.",)}
    assert _labels(tmp_path, columns=columns, **words) == {
        "a.png": (1, "7"),
        "b.png": (0, "8"),
        "c.png": tables.OTHER_FINDING,
    }
    with pytest.raises(IngestError, match=r"label 'Erguss\|Pneumonie' is none of .*data.positive"):
        _labels(tmp_path, columns=columns)
    with pytest.raises(IngestError, match=r"no column path, .* file, befund, fall; .*data.columns"):
        _labels(tmp_path)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_spreadsheet_may_write_its_table_as_it_likes(tmp_path, separator, encoding):
    file = io.StringIO()
    rows = csv.writer(file, delimiter=separator, lineterminator="\r\n")
    rows.writerows([["PATH", "Label ", "patient_id"], ["Ö,1.png", "No Finding", "1"], ["", "", ""]])
    (tmp_path / "manifest.csv").write_bytes(file.getvalue().encode(encoding))
    assert _labels(tmp_path) == {"Ö,1.png": (0, "1")}


def test_an_unknown_separator_gets_a_hint(tmp_path):
    (tmp_path / "manifest.csv").write_text("path:label:patient_id\na.png:1:2\n")
    with pytest.raises(IngestError, match="put a comma, a semicolon or a tab between them"):
        list(listing.entries(tmp_path))


def test_without_a_column_of_patients_a_pattern_tells_them(tmp_path):
    write(tmp_path, {"manifest.csv": b"path,label\np1/a.png,1\np2/b.png,0\n"})
    assert manifest.SPLITS
    with pytest.raises(IngestError, match="no column patient_id"):
        list(listing.entries(tmp_path))
    assert len(list(listing.entries(tmp_path, DataConfig(patient_pattern=r"(p\d)/")))) == 2


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"(nobody\d+)", "matches none of 40 names"),
        (r"(.*)", "gives each of 40 films a patient of its own"),
    ],
)
def test_a_pattern_that_tells_no_patients_is_said(tmp_path, pattern, said):
    base = write(tmp_path / "set", both_classes())
    notes = ingest(base, tmp_path / "out", patient_pattern=pattern).report.notes
    assert any(said in note for note in notes)
    findings = check(base, DataConfig(patient_pattern=pattern)).findings
    assert any(said in finding.text for finding in findings)


def test_a_pattern_that_makes_most_films_one_patients_stops(tmp_path):
    files = films(30, "NORMAL/a{n}.png") | films(30, "PNEUMONIA/b{n}.png", 99)
    with pytest.raises(IngestError, match="60 of 60 films are of one patient"):
        ingest(write(tmp_path / "set", files), tmp_path / "out", patient_pattern=r".*(\.png)")


def test_a_check_tells_masks_and_what_else_is_left_out(tmp_path):
    base, _, left_out = published_sets.with_masks(tmp_path, 60)
    found = check(base)
    assert found.seen == 30
    said = f"{left_out} files are left out: in a folder of masks"
    assert any(said in finding.text for finding in found.findings)


def test_when_all_files_are_rejected_the_commonest_reasons_are_said(tmp_path):
    files = {f"NORMAL/{n}.png": b"no image" for n in range(5)}
    files |= {"PNEUMONIA/cut.jpeg": encoded(grey(), "JPEG")[:400], "PNEUMONIA/x.dcm": b""}
    with pytest.raises(IngestError) as caught:
        ingest(write(tmp_path / "set", files), tmp_path / "out")
    said = str(caught.value)
    assert "7 of 7 files are rejected, nothing is left: " in said
    assert "6 not_an_image, such as 'NORMAL/0.png'" in said
    assert "1 truncated, such as 'PNEUMONIA/cut.jpeg'" in said
    assert "\n" not in said
    with pytest.raises(IngestError, match=r"6 not_an_image, such as 'NORMAL/0.png'.*; 1 trunc"):
        check(tmp_path / "set", DataConfig(file_names=True))


def test_rare_reasons_are_counted_together():
    rejects = [(f"{n}", f"reason {n}", "") for n in range(5)]
    assert report.commonest(rejects).endswith("; 2 for other reasons")


@pytest.mark.parametrize(
    ("name", "said"), [("film.png", "pneumonia predict"), ("notes.doc", "no CSV manifest")]
)
def test_a_file_in_place_of_a_folder_is_never_no_such_folder(tmp_path, name, said):
    write(tmp_path, {name: b"x"})
    assert said in listing.fault(tmp_path / name)
