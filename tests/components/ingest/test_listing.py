"""Which files a data set holds, and what folders, names and a manifest say of them."""

import os

import pytest

from components.ingest import listing, patients
from components.ingest.entry import Entry, IngestError
from components.ingest.listing import fingerprint


@pytest.fixture
def touch(tmp_path):
    def make(*names: str):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        return tmp_path

    return make


def entries(base) -> list[Entry]:
    return list(listing.entries(base))


@pytest.mark.parametrize("above", ["", "train/", "TRAIN/", "val/", "Validation/"])
@pytest.mark.parametrize("normal", ["NORMAL", "normal", "Normal"])
def test_class_folders_in_any_case_with_or_without_splits_above(touch, above, normal):
    base = touch(f"{above}{normal}/a.jpeg", f"{above}PNEUMONIA/deep/down/b.png")
    assert {(entry.label, entry.official_test) for entry in entries(base)} == {
        (0, False),
        (1, False),
    }


@pytest.mark.parametrize("test", ["test", "TEST", "Testing"])
def test_a_test_folder_is_the_official_test_split(touch, test):
    base = touch(f"{test}/NORMAL/a.jpeg", "train/NORMAL/b.jpeg")
    assert {entry.path: entry.official_test for entry in entries(base)} == {
        f"{test}/NORMAL/a.jpeg": True,
        "train/NORMAL/b.jpeg": False,
    }


def test_files_outside_class_folders_have_no_label(touch):
    base = touch("README.md", "train/notes.txt", "docs/licence.txt", "NORMAL/a.jpeg")
    assert [entry.path for entry in entries(base) if entry.label is None] == [
        "README.md",
        "docs/licence.txt",
        "train/notes.txt",
    ]


def test_hidden_and_system_files_are_passed_over(touch):
    base = touch("NORMAL/.DS_Store", "__MACOSX/NORMAL/a.jpeg", ".git/b.jpeg", "NORMAL/c.jpeg")
    assert [entry.path for entry in entries(base)] == ["NORMAL/c.jpeg"]


def test_an_unknown_class_is_named(touch):
    base = touch("train/NORMAL/a.jpeg", "train/COVID/b.jpeg")
    with pytest.raises(IngestError, match="'train/COVID' holds images but is no class"):
        entries(base)


def test_a_split_below_a_class_is_not_dissolved(touch):
    base = touch("NORMAL/train/a.png", "NORMAL/test/b.png", "PNEUMONIA/test/c.png")
    with pytest.raises(IngestError, match=r"a split below a class; put it above: (train|test)/"):
        entries(base)


def test_a_folder_too_high_up_is_answered_with_the_right_one(touch):
    base = touch("chest_xray/train/NORMAL/a.jpeg")
    with pytest.raises(IngestError, match=r"did you mean .*/chest_xray\?"):
        entries(base)


def test_links_are_followed_and_loops_are_entries_with_a_problem(touch):
    base = touch("NORMAL/a.jpeg", "elsewhere.txt")
    (base / "PNEUMONIA").symlink_to(base / "NORMAL")
    (base / "NORMAL" / "loop").symlink_to(base / "NORMAL")
    (base / "NORMAL" / "self.jpeg").symlink_to(base / "NORMAL" / "self.jpeg")
    found = {entry.path: entry.problem for entry in entries(base)}
    assert found["PNEUMONIA/a.jpeg"] == ""
    assert "link" in found["NORMAL/loop"]
    assert "NORMAL/self.jpeg" in found


def test_a_folder_that_cannot_be_listed_is_an_entry_with_a_problem(touch, monkeypatch):
    base = touch("NORMAL/a.jpeg", "NORMAL/locked/b.jpeg")
    scandir = os.scandir

    def deny(path):  # root, who runs tests in containers, may list everything
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deny)
    assert {entry.path: entry.problem for entry in entries(base)} == {
        "NORMAL/a.jpeg": "",
        "NORMAL/locked": "Permission denied",
    }


def test_a_missing_or_empty_folder_is_one_clear_line(tmp_path, touch):
    with pytest.raises(IngestError, match="no such folder"):
        fingerprint(tmp_path / "missing")
    with pytest.raises(IngestError, match="holds no X-rays: expected folders NORMAL and PNEUMONIA"):
        fingerprint(tmp_path)
    with pytest.raises(IngestError, match="holds no X-rays"):
        fingerprint(touch("README.md"))


def manifest(base, text: str, encoding: str = "utf-8"):
    path = base / "manifest.csv"
    path.write_bytes(text.encode(encoding))
    return base


def test_a_manifest_alone_says_what_counts(touch):
    base = manifest(
        touch("NORMAL/a.jpeg"),
        "path,label,patient_id,split,etiology,source\n"
        "films/a b.jpeg,pneumonia,P1,test,Virus,clinic 7\n"
        "films/ü.dcm, NORMAL ,,,,\n"
        "films/c.png,,P2,train,,\n",
    )
    assert entries(base) == [
        Entry("films/a b.jpeg", 1, True, "P1", "virus", "clinic 7"),
        Entry("films/ü.dcm", 0),
        Entry("films/c.png", None, patient="P2"),
    ]
    assert entries(base / "manifest.csv") == entries(base)
    assert listing.folder_of(base / "manifest.csv") == listing.folder_of(base) == base


def test_a_manifest_from_a_spreadsheet_is_read(tmp_path):
    text = "Path, Label ,Patient_ID,age\r\na.jpeg,NORMAL,P1,4\r\n"
    base = manifest(tmp_path, text, "utf-8-sig")
    assert entries(base) == [Entry("a.jpeg", 0, patient="P1")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,label\na,NORMAL\n", "no column patient_id"),
        ("", "no column path, label, patient_id"),
        ("path,label,patient_id\na,COVID,\n", "line 2: label 'COVID' is none of pneumonia"),
        ("path,label,patient_id,split\na,NORMAL,,dev\n", "line 2: split 'dev'"),
        ("path,label,patient_id,etiology\na,NORMAL,,fungus\n", "line 2: etiology 'fungus'"),
        ("path,label,patient_id\n,NORMAL,\n", "line 2: the path is empty"),
        ('path,label,patient_id\n"a,NORMAL,\n', "cannot be read as CSV"),
    ],
)
def test_a_wrong_manifest_is_one_clear_line(tmp_path, text, said):
    with pytest.raises(IngestError, match=said) as caught:
        entries(manifest(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_manifest_in_another_encoding_is_named(tmp_path):
    with pytest.raises(IngestError, match="UTF-8"):
        entries(manifest(tmp_path, "path,label,patient_id\nü,NORMAL,\n", "latin-1"))


def test_the_fingerprint_changes_with_names_content_labels_and_nothing_else(touch):
    base = touch("NORMAL/a.jpeg", "PNEUMONIA/b.jpeg")
    seen = [fingerprint(base)]
    assert fingerprint(base) == seen[0]
    touch("NORMAL/c.jpeg")
    seen.append(fingerprint(base))
    os.utime(base / "NORMAL" / "c.jpeg", ns=(1, 1))
    seen.append(fingerprint(base))
    (base / "NORMAL" / "c.jpeg").rename(base / "PNEUMONIA" / "c.jpeg")
    seen.append(fingerprint(base))
    manifest(base, "path,label,patient_id\nNORMAL/a.jpeg,NORMAL,\n")
    seen.append(fingerprint(base))
    manifest(base, "path,label,patient_id\nNORMAL/a.jpeg,PNEUMONIA,\n")
    seen.append(fingerprint(base))
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("person100_bacteria_475.jpeg", "person100_bacteria"),
        ("person100_virus_184.jpeg", "person100_virus"),
        ("IM-0115-0001.jpeg", "IM-0115"),
        ("IM-0115-0001-0002.jpeg", "IM-0115"),
        ("NORMAL2-IM-0373-0001.jpeg", "NORMAL2-IM-0373"),
        ("BACTERIA-1008087-0001.jpeg", "BACTERIA-1008087"),
        ("NORMAL-1003233-0002.jpeg", "NORMAL-1003233"),
        ("holiday.jpeg", None),
        ("normal-2.jpeg", None),
    ],
)
def test_the_public_sets_names_carry_the_patient(name, patient):
    pattern = patients.compile_pattern(None)
    assert patients.from_name(f"train/NORMAL/{name}", pattern) == patient


def test_a_pattern_of_ones_own_replaces_it():
    pattern = patients.compile_pattern(r"(\d{8})_")
    assert patients.from_name("NORMAL/00001234_003.png", pattern) == "00001234"
    assert patients.from_name("NORMAL/IM-0115-0001.jpeg", pattern) is None


@pytest.mark.parametrize(("pattern", "said"), [("(", "regular expression"), ("abc", "parentheses")])
def test_an_unusable_pattern_is_named(pattern, said):
    with pytest.raises(IngestError, match=f"data.patient_pattern: .*{said}"):
        patients.compile_pattern(pattern)


@pytest.mark.parametrize(
    ("name", "label", "etiology"),
    [
        ("person1_bacteria_2.jpeg", 1, "bacteria"),
        ("person1_VIRUS_2.jpeg", 1, "virus"),
        ("film.jpeg", 1, "unknown"),
        ("person1_virus_2.jpeg", 0, "normal"),
    ],
)
def test_the_etiology_is_read_from_the_name(name, label, etiology):
    assert patients.etiology(name, label) == etiology
