"""DataGate after TFX's own StatisticsGen and ExampleValidator, on raw examples and the schema."""

import json
import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components.example_validator import executor as example_validator
from tfx.components.statistics_gen import executor as statistics_gen
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import artifact_utils, channel_utils
from tfx.types.standard_artifacts import (
    ExampleAnomalies,
    Examples,
    ExampleStatistics,
    Schema,
)

from components import names
from components.data_gate import component, shift
from components.data_gate.component import (
    DataError,
    DataGate,
    DataLimits,
    DataSummary,
    SplitSummary,
    check,
)
from components.data_gate.settings import ShiftConfig
from pipeline import shifts, steps

RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"
SCHEMA = steps.SCHEMA
SOUND = {
    "train": [("a", 0), ("a", 0), ("b", 1)],
    "val": [("c", 0), ("d", 1)],
    "test": [("e", 0), ("f", 1), ("g", 1)],
}


def raw(patient: str, label: int, **changes: bytes) -> bytes:
    example = tf.train.Example()
    values = example.features.feature
    told = (names.FILENAME, names.SHA256, names.SIZE_CLASS, names.SOURCE, *names.GROUP_KEYS)
    for name in told:
        values[name].bytes_list.value.append(b"x")
    values[names.IMAGE].bytes_list.value.append(b"\xff\xd8 not looked into")
    values[names.ETIOLOGY].bytes_list.value.append((b"normal", b"virus")[label % 2])
    values[names.PATIENT_ID].bytes_list.value.append(patient.encode())
    for name, value in ((names.HEIGHT, 2), (names.WIDTH, 3), (names.LABEL, label)):
        values[name].int64_list.value.append(value)
    for name, change in changes.items():
        values[name].bytes_list.value[:] = [change]
    return example.SerializeToString()


def run(folder: Path, splits: dict[str, list[bytes]], as_text: bool = False) -> Path:
    """Statistics, validation, gate; returns the summary's path, there only if all was well."""
    examples, schema, summary = Examples(), Schema(), DataSummary()
    statistics, anomalies = ExampleStatistics(), ExampleAnomalies()
    for artifact in (examples, schema, statistics, anomalies, summary):
        artifact.uri = str(folder / artifact.type_name)
        Path(artifact.uri).mkdir()
    examples.split_names = artifact_utils.encode_split_names(list(splits))
    shutil.copy(SCHEMA, schema.uri)
    for name, rows in splits.items():
        file = Path(examples.uri, f"Split-{name}", "data-00000-of-00001.gz")
        file.parent.mkdir()
        with tf.io.TFRecordWriter(str(file), "GZIP") as writer:
            for row in rows:
                writer.write(row)
    statistics_gen.Executor(BaseBeamExecutor.Context(beam_pipeline_args=[RUNNER])).Do(
        {"examples": [examples], "schema": [schema]}, {"statistics": [statistics]}, {}
    )
    example_validator.Executor().Do(
        {"statistics": [statistics], "schema": [schema]}, {"anomalies": [anomalies]}, {}
    )
    config = shifts.limits(ShiftConfig(warn=0.3))
    if as_text:  # as Kubeflow's launcher hands it over
        config = json_format.MessageToJson(config)
    found = ExampleAnomalies()
    found.uri = str(folder / "shift")
    shift.Executor().Do(
        {"statistics": [statistics]},
        {"anomalies": [found]},
        {
            "distribution_validator_config": config,
            "include_split_pairs": '[["test", "train"]]',
        },
    )
    DataGate.test_call(
        statistics=statistics,
        anomalies=anomalies,
        test_shift=found,
        data_summary=summary,
        limits=json.dumps({"stop_label": 0.3}),
        code_version="",
    )
    return Path(summary.uri, component.SUMMARY_FILE)


def rows(splits: dict[str, list[tuple[str, int]]]) -> dict[str, list[bytes]]:
    return {name: [raw(*film) for film in films] for name, films in splits.items()}


def test_sound_data_passes_and_is_summed_up(tmp_path: Path) -> None:
    summary = json.loads(run(tmp_path, rows(SOUND)).read_text())
    assert summary == {
        "splits": {
            "train": {"examples": 3, "patients": 2, "classes": {"NORMAL": 2, "PNEUMONIA": 1}},
            "val": {"examples": 2, "patients": 2, "classes": {"NORMAL": 1, "PNEUMONIA": 1}},
            "test": {"examples": 3, "patients": 3, "classes": {"NORMAL": 1, "PNEUMONIA": 2}},
        },
        "warnings": [],
    }


def test_everything_wrong_is_said_in_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    stranger = tf.train.Example.FromString(raw("h", 2, **{names.ETIOLOGY: b"fungus"}))
    stranger.features.feature["age"].int64_list.value.append(3)
    train = [*rows(SOUND)["train"], stranger.SerializeToString()]
    with pytest.raises(DataError) as refusal:
        run(tmp_path, {"train": train, **rows({"test": [("e", 1), ("f", 1)]})})
    message = str(refusal.value)
    assert "split 'val' is empty; add patients of both classes or raise data.val_fr" in message
    assert "split 'test' has no NORMAL (NORMAL 0, PNEUMONIA 2); fill both class folders" in message
    assert "split 'train', feature 'age': New column" in message
    assert "split 'train', feature 'etiology': Examples contain values missing from" in message
    assert "split 'train', feature 'label': Unexpectedly large value: 2; repair" in message
    assert "\n" not in message
    assert not list((tmp_path / DataSummary.TYPE_NAME).iterdir())


def test_a_split_without_records_is_empty() -> None:
    sound = SplitSummary(examples=2, patients=2, classes={"NORMAL": 1, "PNEUMONIA": 1})
    empty = SplitSummary(examples=0, patients=0, classes={"NORMAL": 0, "PNEUMONIA": 0})
    with pytest.raises(DataError, match="split 'test' is empty; fill both"):
        check({"train": sound, "val": sound, "test": empty}, {})


def test_warnings_are_listed_and_stop_nothing() -> None:
    found = anomalies_pb2.Anomalies()
    found.anomaly_info["source"].severity = anomalies_pb2.AnomalyInfo.WARNING
    found.anomaly_info["source"].description = "rarely\nfilled in"
    sound = SplitSummary(examples=2, patients=2, classes={"NORMAL": 1, "PNEUMONIA": 1})
    warnings = check(dict.fromkeys(names.SPLITS, sound), {"train": found})
    assert warnings == ["split 'train', feature 'source': rarely filled in"]


def test_a_test_split_of_another_kind_is_a_warning(tmp_path: Path) -> None:
    train = [raw(str(number), number % 2) for number in range(20)]
    test = [raw(str(number), number % 2, **{names.SOURCE: b"dicom"}) for number in range(20)]
    splits = {"train": train, "val": train, "test": test}
    summary = json.loads(run(tmp_path, splits, as_text=True).read_text())
    (warning,) = summary["warnings"]
    assert warning.startswith("source differs in 'test' from 'train' (Jensen-Shannon divergence 1")


def test_mixed_up_labels_stop_the_run(tmp_path: Path) -> None:
    train = [raw(str(number), int(number % 10 > 0)) for number in range(40)]
    test = [raw(str(number), int(number % 10 == 0)) for number in range(40)]
    with pytest.raises(DataError, match=r"shares differ in 'test' from 'train'.*raise shift.stop"):
        run(tmp_path, {"train": train, "val": train, "test": test})


def test_a_bound_out_of_reach_stops_the_run_before_it_trains() -> None:
    few = SplitSummary(examples=40, patients=40, classes={"NORMAL": 20, "PNEUMONIA": 20})
    splits = dict.fromkeys(names.SPLITS, few)
    with pytest.raises(DataError, match=r"20 PNEUMONIA.* bound of 0.84.*asks for 0.90; add"):
        check(splits, {}, limits=DataLimits(recall_lower_bound=0.9))
    assert check(splits, {}, limits=DataLimits(recall_lower_bound=0.83)) == []


def test_the_component_wires_as_the_pipeline_does() -> None:
    component = DataGate(
        statistics=channel_utils.as_channel([ExampleStatistics()]),
        anomalies=channel_utils.as_channel([ExampleAnomalies()]),
        test_shift=channel_utils.as_channel([ExampleAnomalies()]),
        limits="{}",
        code_version="version",
    )
    assert set(component.outputs) == {"data_summary"}
