"""ExampleGen on real files: every one accounted for, the pixels right, the patients kept apart."""

import csv
import gzip
import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from PIL import Image
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.metadata import Metadata, sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline

from client import images
from components import names
from components.ingest import component, passes, report, work_lists
from components.ingest.component import XrayExampleGen
from components.ingest.entry import IngestError
from components.ingest.listing import fingerprint
from pipeline.beam.arguments import beam_args
from pipeline.config import BeamConfig
from tests.client.image_files import PATIENT_ID, dicom, encoded, grey, pixels
from tests.components.ingest import hostile_set
from tests.components.ingest.xray_sets import both_classes, films, ingest, write


def test_the_ledger_adds_up(hostile):
    result = hostile.report
    written = len(hostile_set.SOUND) + len(hostile_set.TEST_DUPLICATE)
    rejected = len(hostile_set.REJECTED) + len(hostile_set.LINKS)
    assert result.seen == written + len(hostile_set.DUPLICATES) + rejected
    assert result.seen == result.written + result.duplicates + result.rejected
    assert (result.written, result.rejected) == (written, rejected)
    assert result.duplicates == len(hostile_set.DUPLICATES)
    assert result.test_duplicates == 1
    for split in names.SPLITS:
        assert len(hostile.films(split)) == result.splits[split]["films"]


def test_each_reject_is_named_with_its_reason(hostile):
    expected = {name: reason for name, (_, reason) in hostile_set.REJECTED.items()}
    expected |= dict.fromkeys(hostile_set.LINKS, "unreadable")
    assert hostile.rejects() == expected


def test_ingest_and_client_give_the_model_the_same_bytes(hostile, hostile_folder):
    written = {film[names.SHA256]: film[names.IMAGE] for film in hostile.by_name().values()}
    for name in hostile_set.SOUND:
        xray = images.read(hostile_folder / name)
        assert written[xray.sha256.encode()] == xray.data


def test_tensorflow_reads_of_every_film_what_pillow_reads(hostile):
    for name, film in hostile.by_name().items():
        data = film[names.IMAGE]
        decoded = tf.io.decode_image(data, expand_animations=False).numpy().squeeze()
        assert decoded.shape[:2] == (film[names.HEIGHT], film[names.WIDTH])
        if data.startswith(b"\x89PNG"):
            np.testing.assert_array_equal(decoded, pixels(data), err_msg=name)
        else:  # libjpeg's inverse transforms differ in their rounding
            difference = np.abs(decoded.astype(int) - pixels(data))
            assert difference.max() <= 4, name


def test_names_are_kept_whatever_their_letters(hostile):
    expected = {name for name in hostile_set.SOUND if PATIENT_ID not in name}
    assert expected <= set(hostile.by_name())
    assert len(hostile.by_name()) == len(hostile_set.SOUND) + len(hostile_set.TEST_DUPLICATE)


def test_the_official_test_split_stays_whole_and_alone(hostile):
    test = {name for name, film in hostile.by_name().items() if film["split"] == "test"}
    assert test == {
        name
        for name in (*hostile_set.SOUND, *hostile_set.TEST_DUPLICATE)
        if name.startswith("TEST/")
    }


def test_of_a_dicoms_patient_nothing_is_left(hostile, hostile_log):
    words = [b"wintergreen", b"ottoline", PATIENT_ID.lower().encode()]
    written = [path for path in hostile.folder.rglob("*") if path.is_file()]
    assert len(written) >= 6
    for path in written:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        haystack = (str(path).encode() + content).lower()
        assert not [word for word in words if word in haystack], path
    log = "\n".join(hostile_log).encode().lower()
    assert log
    assert not [word for word in words if word in log]


def patients_by_split(result) -> dict[str, set[bytes]]:
    return {
        split: {film[names.PATIENT_ID] for film in result.films(split)} for split in names.SPLITS
    }


def several_films_each() -> dict[str, bytes]:
    """30 patients of each class with one to three films each."""
    return {
        name: encoded(grey(64, 64, seed=100 * patient + 10 * film + label), "JPEG")
        for patient in range(30)
        for film in range(1 + patient % 3)
        for label, name in enumerate(
            (
                f"train/NORMAL/IM-{patient:04d}-{film:04d}.jpeg",
                f"val/PNEUMONIA/person{patient}_bacteria_{film}.jpeg",
            )
        )
    }


def test_train_and_val_are_merged_and_divided_by_patient(tmp_path):
    files = several_films_each() | films(10, "test/NORMAL/IM-9{n:03d}-0001.jpeg", 7000)
    result = ingest(write(tmp_path / "set", files), tmp_path / "out", val_fraction=0.2)
    by_split = patients_by_split(result)
    assert not by_split["train"] & by_split["val"]
    assert not by_split["test"] & (by_split["train"] | by_split["val"])
    counts = result.report.splits
    assert counts["val"]["NORMAL"] == counts["val"]["PNEUMONIA"] == 12
    assert counts["train"]["NORMAL"] == counts["train"]["PNEUMONIA"] == 48
    assert counts["test"] == {"films": 10, "patients": 10, "NORMAL": 10, "PNEUMONIA": 0}
    assert result.report.official_test


def test_without_a_test_folder_a_share_of_patients_is_held_out(tmp_path):
    result = ingest(
        write(tmp_path / "set", several_films_each()), tmp_path / "out", test_fraction=0.2
    )
    counts = result.report.splits
    assert [counts[split]["films"] for split in ("test", "val", "train")] == [24, 12, 84]
    by_split = list(patients_by_split(result).values())
    assert sum(map(len, by_split)) == len(set.union(*by_split)) == 60
    assert not result.report.official_test


def test_a_split_without_films_is_there_and_empty(tmp_path):
    files = {f"test/{name}": content for name, content in both_classes(3).items()}
    result = ingest(write(tmp_path / "set", files), tmp_path / "out")
    assert [len(result.films(split)) for split in names.SPLITS] == [0, 0, 6]
    assert [len(result.files(split)) for split in names.SPLITS] == [1, 1, 1]


def test_the_same_files_and_seed_give_the_same_bytes_wherever_they_lie(tmp_path):
    files = both_classes()
    first = ingest(write(tmp_path / "a", files), tmp_path / "out a")
    again = ingest(write(tmp_path / "b", dict(reversed(files.items()))), tmp_path / "out b")
    other = ingest(tmp_path / "a", tmp_path / "out c", seed=21)
    for split in names.SPLITS:
        assert [path.name for path in first.files(split)] == [p.name for p in again.files(split)]
        for one, two in zip(first.files(split), again.files(split), strict=True):
            assert one.read_bytes() == two.read_bytes()
    assert patients_by_split(first) != patients_by_split(other)


def test_large_sets_are_written_in_several_files(tmp_path, monkeypatch):
    monkeypatch.setattr(work_lists, "FILES_PER_LIST", 7)
    result = ingest(write(tmp_path / "set", both_classes()), tmp_path / "out")
    assert [path.name for path in result.files("train")] == [
        f"data_tfrecord-{number:05d}-of-00005.gz" for number in range(5)
    ]
    assert len(result.by_name()) == result.report.written == 40


def test_the_features_are_those_of_the_contract(hostile):
    film = hostile.by_name()["TEST/pneumonia/person90_bacteria_1.jpeg"]
    content = hostile_set.SOUND["TEST/pneumonia/person90_bacteria_1.jpeg"]
    assert film == {
        names.IMAGE: content,
        names.FILENAME: b"TEST/pneumonia/person90_bacteria_1.jpeg",
        names.SHA256: images.read(content).sha256.encode(),
        names.HEIGHT: 64,
        names.WIDTH: 64,
        names.PATIENT_ID: b"person90_bacteria",
        names.LABEL: 1,
        names.ETIOLOGY: b"bacteria",
        names.SIZE_CLASS: b"small",
        names.SOURCE: b"jpeg",
        **dict.fromkeys(names.GROUP_KEYS, b"unknown"),
        "split": "test",
    }


def test_a_manifest_names_patients_across_formats(tmp_path):
    rows = ["path,label,patient_id,split,etiology,source"]
    files = {}
    for number in range(24):
        label = ("NORMAL", "PNEUMONIA")[number % 2]
        for kind, content in (
            ("jpeg", encoded(grey(seed=number), "JPEG")),
            ("dcm", dicom(grey(seed=100 + number), bits=8, PatientID=f"secret-{number}")),
        ):
            name = f"film {number} of SECRET-{number}.{kind}"
            files[name] = content
            rows.append(f"{name},{label},secret-{number},,,ward {number % 2}")
    files["manifest.csv"] = "\n".join(rows).encode()
    result = ingest(write(tmp_path / "set", files), tmp_path / "out")
    assert result.report.patients_from == {"manifest": 48}
    split_of = {name: film["split"] for name, film in result.by_name().items()}
    films_of = defaultdict(set)
    for name, film in result.by_name().items():
        films_of[film[names.PATIENT_ID]].add(name)
        assert film[names.SOURCE].startswith(b"ward ")
    assert set(map(len, films_of.values())) == {2}
    assert not any(b"secret" in patient for patient in films_of)
    assert not any("secret" in name.lower() for name in split_of)
    assert all(len({split_of[name] for name in names}) == 1 for names in films_of.values())


def test_a_dicoms_own_patient_id_keeps_films_together_under_another_name(tmp_path):
    files = both_classes() | {
        f"NORMAL/{number}-{film}.dcm": dicom(grey(seed=500 + 2 * number + film), bits=8,
                                             PatientID=f"secret-{number}")
        for number in range(10) for film in range(2)
    }  # fmt: skip
    result = ingest(write(tmp_path / "set", files), tmp_path / "out")
    kept = result.by_name()
    for number in range(10):
        one, two = (kept[f"NORMAL/{number}-{film}.dcm"] for film in range(2))
        assert one["split"] == two["split"]
        assert one[names.PATIENT_ID] == two[names.PATIENT_ID]
        assert b"secret" not in one[names.PATIENT_ID]
    again = ingest(tmp_path / "set", tmp_path / "again").by_name()
    assert {n: f["split"] for n, f in again.items()} == {n: f["split"] for n, f in kept.items()}
    hashed = names.PATIENT_ID
    assert again["NORMAL/0-0.dcm"][hashed] != kept["NORMAL/0-0.dcm"][hashed]  # another salt


def test_files_that_name_no_patient_are_patients_and_the_report_says_so(tmp_path):
    files = films(20, "NORMAL/a{n}.jpeg") | films(20, "PNEUMONIA/b{n}.jpeg", 1000)
    result = ingest(write(tmp_path / "set", files), tmp_path / "out")
    assert result.report.patients_from == {"file": 40}
    assert any("40 files name no patient" in note for note in result.report.notes)
    result = ingest(tmp_path / "set", tmp_path / "out 2", patient_pattern=r"([ab]\d)")
    assert result.report.patients_from == {"name": 40}
    assert result.report.splits["train"]["patients"] < 20
    assert not any("patient" in note for note in result.report.notes)


def test_a_limit_reads_no_more_than_it_needs(tmp_path):
    result = ingest(write(tmp_path / "set", both_classes()), tmp_path / "out", limit_per_class=10)
    assert (result.report.seen, result.report.left_out) == (20, 20)
    classes = Counter(film[names.LABEL] for film in result.by_name().values())
    assert classes == {0: 10, 1: 10}


def test_copies_that_were_saved_anew_are_reported_across_splits(tmp_path):
    coarse = np.random.default_rng(0).integers(0, 256, (10, 10), np.uint8)
    film = Image.fromarray(coarse).resize((200, 200), Image.Resampling.BICUBIC)
    files = both_classes() | {
        "test/NORMAL/IM-0900-0001.jpeg": encoded(film, "JPEG"),
        "train/NORMAL/IM-0901-0001.jpeg": encoded(film, "JPEG", quality=50),
    }
    result = ingest(write(tmp_path / "set", files), tmp_path / "out").report
    assert result.near_duplicate_pairs == 1
    assert {name.partition(": ")[2] for name in result.near_duplicates[0]} == {
        "test/NORMAL/IM-0900-0001.jpeg",
        "train/NORMAL/IM-0901-0001.jpeg",
    }


def test_too_many_rejects_stop_the_run_before_anything_is_written(tmp_path):
    files = both_classes() | films(3, "NORMAL/cut{n}.jpeg", 3000)
    base = write(tmp_path / "set", files)
    for number in range(3):
        path = base / f"NORMAL/cut{number}.jpeg"
        path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(IngestError, match=r"3 of 43 files are rejected, .*: 3 truncated"):
        ingest(base, tmp_path / "out")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert ingest(base, tmp_path / "out 2", max_rejected=0.1).report.rejected == 3


def test_a_file_that_changes_between_the_passes_is_noticed(tmp_path, monkeypatch):
    base = write(tmp_path / "set", both_classes())
    decide = component.ledger.decide

    def meanwhile(*told):
        (base / "NORMAL/IM-0003-0001.jpeg").write_bytes(encoded(grey(seed=999), "JPEG"))
        (base / "PNEUMONIA/person4_virus_4.jpeg").unlink()
        return decide(*told)

    monkeypatch.setattr(component.ledger, "decide", meanwhile)
    with pytest.raises(IngestError, match="2 files changed while they were read") as caught:
        ingest(base, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "ledger" / report.REPORT).exists()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"COVID/a.jpeg": b"x"}, "is no class"),
        ({"readme.txt": b"x"}, "nothing is left"),
        ({}, "nothing is left"),
    ],
)
def test_a_set_that_is_none_stops_at_once(tmp_path, files, said):
    (tmp_path / "set").mkdir()
    with pytest.raises(IngestError, match=said):
        ingest(write(tmp_path / "set", files), tmp_path / "out")


def test_an_unusable_pattern_stops_before_beam_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(passes, "run", lambda *_: pytest.fail("Beam was started"))
    with pytest.raises(IngestError, match="patient_pattern"):
        ingest(write(tmp_path / "set", both_classes(1)), tmp_path / "out", patient_pattern="(")


def test_beam_is_handed_names_of_lists_and_no_bytes(tmp_path, monkeypatch):
    handed = []
    run = passes.run

    def watch(pipeline, elements, step):
        handed.extend(elements)
        run(pipeline, elements, step)

    monkeypatch.setattr(passes, "run", watch)
    ingest(write(tmp_path / "set", both_classes(200)), tmp_path / "out")
    assert handed
    assert max(len(repr(element)) for element in handed) < 2000
    assert len(handed) < 10


def test_a_tfx_pipeline_runs_it_reads_its_output_and_caches_it(tmp_path):
    base = write(tmp_path / "set", both_classes())
    database = tmp_path / "metadata.db"

    def run() -> None:
        ingest_step = XrayExampleGen(
            input_base=str(base),
            data_config=json.dumps({}),
            seed=20,
            fingerprint=fingerprint(base),
            code_version="1",
        )
        statistics = StatisticsGen(examples=ingest_step.outputs["examples"])
        LocalDagRunner().run(
            Pipeline(
                pipeline_name="ingest",
                pipeline_root=str(tmp_path / "artifacts"),
                components=[ingest_step, statistics],
                enable_cache=True,
                metadata_connection_config=sqlite_metadata_connection_config(str(database)),
                beam_pipeline_args=beam_args(BeamConfig()),
            )
        )

    run()
    run()
    with Metadata(sqlite_metadata_connection_config(str(database))) as metadata:
        (examples,) = metadata.store.get_artifacts_by_type("Examples")
        (statistics,) = metadata.store.get_artifacts_by_type("ExampleStatistics")
        states = Counter(one.last_known_state for one in metadata.store.get_executions())
    assert states == {3: 2, 5: 2}  # complete; cached
    properties = examples.properties
    assert json.loads(properties["split_names"].string_value) == ["train", "val", "test"]
    custom = examples.custom_properties
    assert custom["file_format"].string_value == "tfrecords_gzip"
    assert custom["payload_format"].string_value == "FORMAT_TF_EXAMPLE"
    for split, films_in_it in (("train", 32), ("val", 4), ("test", 4)):
        stats = tfdv.load_stats_binary(f"{statistics.uri}/Split-{split}/FeatureStats.pb")
        assert stats.datasets[0].num_examples == films_in_it
    files = [path for path in Path(examples.uri).rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".gz"}


@pytest.mark.xrays
def test_the_public_sets_originals_are_all_ingested(xrays, tmp_path):
    result = ingest(xrays / "originals", tmp_path / "out").report
    assert (result.seen, result.written) == (240, 240)
    assert result.patients_from == {"name": 240}
    assert result.splits["test"]["NORMAL"] == 8
    assert result.splits["test"]["PNEUMONIA"] == 16


def test_no_file_name_is_repeated_unless_names_tell_nobody(tmp_path):
    patient = "Wintergreen_Ottoline"
    files = both_classes() | {
        f"PNEUMONIA/{patient}/film.jpeg": encoded(grey(64, 64, seed=9007), "JPEG"),
        f"NORMAL/{patient}.jpeg": b"refused before anything of it is read",
        f"NORMAL/copy of {patient}.jpeg": encoded(grey(64, 64, seed=9007), "JPEG"),
    }
    base = write(tmp_path / "set", files)
    result = ingest(base, tmp_path / "out", file_names=False, max_rejected=0.5)
    for path in (tmp_path / "out").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        assert (patient.encode() in content) == (path.name == report.NAMES), path
        assert b"IM-0001" not in content or path.name == report.NAMES
    shown = list(result.rejects())
    with (tmp_path / "out/ledger" / report.NAMES).open(encoding="utf-8", newline="") as file:
        told = {row["file"]: row["path"] for row in csv.DictReader(file)}
    assert set(told.values()) == set(files)
    assert {told[name] for name in shown} == {name for name in files if patient in name}
    assert all(name.startswith(("NORMAL/film-", "PNEUMONIA/film-")) for name in result.by_name())
