"""Who was examined, how and where: read from manifest or DICOM, and pooled where it would tell."""

import csv
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import names
from components.ingest import groups
from components.ingest.entry import IngestError
from components.ingest.listing import fingerprint
from components.ingest.settings import DataConfig
from tests.client.image_files import dicom, encoded, grey
from tests.components.ingest.xray_sets import ingest, write

GROUPS = {
    "age_group": {"column": "Age", "dicom": "PatientAge", "limits": [18, 65]},
    "sex": {"column": "sex", "dicom": "PatientSex"},
    "manufacturer": {"dicom": "Manufacturer"},
}


@pytest.mark.parametrize(
    ("text", "limits", "group"),
    [
        ("017Y", (18, 65), "under 18"),
        ("18", (18, 65), "18 to 64"),
        ("64.9", (18, 65), "18 to 64"),
        ("065Y", (18, 65), "65 and over"),
        ("011M", (1,), "under 1"),
        ("411", (18, 65), "65 and over"),
        ("about 40", (18, 65), "unknown"),
        ("", (18, 65), "unknown"),
        (" pa ", (), "PA"),
        ("", (), "unknown"),
    ],
)
def test_a_value_names_its_group(text, limits, group):
    assert groups.value(text, limits) == group


@given(
    st.lists(
        st.tuples(st.integers(0, 30).map(str), st.sampled_from("ABCDE"), st.sampled_from("MF")),
        max_size=60,
    ),
    st.integers(1, 8),
)
def test_no_value_and_no_rest_is_left_with_fewer_patients(rows, least):
    films = [(patient, {"site": site, "sex": sex}) for patient, site, sex in rows]
    left: dict[tuple[str, str], set[str]] = defaultdict(set)
    everybody = {patient for patient, *_ in rows}
    for (patient, _), found in zip(films, groups.pooled(films, least), strict=True):
        for item in found.items():
            left[item].add(patient)
    assert all(len(patients) >= min(least, len(everybody)) for patients in left.values())


def _rows(films):
    return {
        name: tuple(film[key].decode() for key in ("age_group", "sex", "manufacturer"))
        for name, film in films.items()
    }


def _set(folder, rows):
    """One film a row of patient, label, age and sex, in a manifest; `.dcm` ones are DICOMs."""
    files = {}
    for number, (path, *_) in enumerate(rows):
        pixels = grey(64, 64, seed=number)
        files[path] = (
            dicom(pixels, bits=8, PatientID=f"id-{number}", PatientAge="070Y", Manufacturer="Acme")
            if path.endswith(".dcm")
            else encoded(pixels, "JPEG")
        )
    write(folder, files)
    with (folder / "manifest.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "patient_id", "split", "age", "sex", "name"])
        table.writerows(
            [path, label, f"patient-{number}", "test", age, sex, "Ottoline Wintergreen"]
            for number, (path, label, age, sex) in enumerate(rows)
        )
    return folder


def test_groups_come_from_the_manifest_and_else_from_the_dicom(tmp_path):
    rows = [
        ("a.jpeg", "NORMAL", "40", "M"),
        ("b.jpeg", "PNEUMONIA", "", "m"),
        ("c.dcm", "NORMAL", "", "F"),
        ("d.dcm", "PNEUMONIA", "17", ""),
    ]
    result = ingest(_set(tmp_path / "set", rows), tmp_path / "out", groups=GROUPS, smallest_group=1)
    assert _rows(result.by_name()) == {
        "a.jpeg": ("18 to 64", "M", "unknown"),
        "b.jpeg": ("unknown", "M", "unknown"),
        "c.dcm": ("65 and over", "F", "ACME"),
        "d.dcm": ("under 18", "unknown", "ACME"),
    }


def test_rare_values_never_get_into_the_examples(tmp_path):
    rows = [(f"{n}.jpeg", names.CLASSES[n % 2], "90" if n == 3 else "40", "M") for n in range(8)]
    result = ingest(_set(tmp_path / "set", rows), tmp_path / "out", groups=GROUPS)
    found = {film["age_group"] for film in result.by_name().values()}
    assert found == {b"pooled"}  # one alone would be told by what the others leave over
    assert {film["sex"] for film in result.by_name().values()} == {b"M"}


def test_nothing_is_read_that_nobody_asked_for(tmp_path):
    result = ingest(_set(tmp_path / "set", [("a.jpeg", "NORMAL", "40", "M")]), tmp_path / "out")
    (film,) = result.by_name().values()
    assert {film[key] for key in names.GROUP_KEYS} == {b"unknown"}


def test_a_column_that_the_manifest_lacks_is_named(tmp_path):
    folder = _set(tmp_path / "set", [("a.jpeg", "NORMAL", "40", "M")])
    with pytest.raises(IngestError, match=r"manifest\.csv: has no column ward, which data\.groups"):
        ingest(folder, tmp_path / "out", groups={"site": {"column": "ward"}})


def test_another_age_in_the_manifest_is_another_data_set(tmp_path):
    folder = _set(tmp_path / "set", [("a.jpeg", "NORMAL", "40", "M")])
    config = DataConfig(groups=GROUPS)
    before = fingerprint(folder, config)
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("40", "41"))
    assert fingerprint(folder, config) != before
