"""The entry point gives TFX what open-source Kubeflow leaves unsaid, and reports back in URIs."""

import argparse
import json
from pathlib import Path

import pytest
from tfx.dsl.components.base.base_executor import BaseExecutor

from kubeflow import step
from tests.kubeflow import test_launcher
from tests.kubeflow.launcher import Cluster

TYPES = {
    "model": {"artifactType": {"instanceSchema": "title: tfx.Model\ntype: object\n"}},
    "examples": {"artifactType": {"instanceSchema": "title: tfx.Examples\ntype: object\n"}},
}
HTML = {"schemaTitle": "system.HTML", "schemaVersion": "0.0.1"}


class Reporter(BaseExecutor):
    """Copies a model's text into a page, and a number into the page's properties."""

    def Do(self, input_dict, output_dict, exec_properties):  # noqa: N802 - TFX's name
        (model,), (examples,) = input_dict["model"], input_dict["examples"]
        (report,), (copied,) = output_dict["report"], output_dict["copy"]
        text = (Path(model.uri) / "weights").read_text()
        for output, name in ((report, "report.html"), (copied, "weights")):
            (Path(output.uri) / name).write_text(text)
        kind = f"{model.type_name} {examples.type_name} {exec_properties['times']!r}"
        copied.set_string_custom_property("saw", kind)
        copied.set_string_custom_property("made_of", model.uri)
        copied.set_int_custom_property("spans", examples.span)


@pytest.fixture(autouse=True)
def disk(tmp_path, monkeypatch) -> Path:
    """The pod's."""
    mounts = {scheme: f"{tmp_path}{mount}" for scheme, mount in step._MOUNTS.items()}
    monkeypatch.setattr(step, "_MOUNTS", mounts)
    return tmp_path / "minio/bucket/run"


def invoke(disk: Path) -> dict[str, dict[str, object]]:
    """Runs Reporter as Kubeflow's launcher would; returns what it reports."""
    (disk / "Trainer/model").mkdir(parents=True)
    (disk / "Trainer/model/weights").write_text("0.5")
    (disk / "Reporter").mkdir()
    (disk / "Reporter/executor-logs-0").write_text("")  # the launcher has opened it already

    def artifact(key: str, **fields: object) -> dict[str, object]:
        return {"artifacts": [{"uri": f"minio://bucket/run/{key}", **fields}]}

    untyped = {"type": {"instanceSchema": ""}}
    logs = {"schemaTitle": "system.Artifact"}
    given = {
        "inputs": {
            "parameterValues": {"times": 3.0},
            "artifacts": {
                "model": artifact("Trainer/model", name="11", **untyped),
                "examples": artifact(
                    "ExampleGen/examples", name="12", metadata={"span": 4.0}, **untyped
                ),
            },
        },
        "outputs": {
            "artifacts": {
                "report": artifact("Reporter/report", name="report", type=HTML),
                "copy": artifact("Reporter/copy", name="copy", type=TYPES["model"]["artifactType"]),
                "executor-logs": artifact(
                    "Reporter/executor-logs-0", name="executor-logs", type=logs
                ),
            },
            "outputFile": str(disk / "output_metadata.json"),
        },
    }
    inputs = {"artifacts": TYPES, "parameters": {"times": {"parameterType": "NUMBER_INTEGER"}}}
    args = argparse.Namespace(
        executor_class_path=f"{__name__}.Reporter",
        json_serialized_invocation_args=json.dumps(given),
        json_serialized_inputs_spec_args=json.dumps(inputs),
        tfx_outputs='["copy", "report"]',
    )
    step.main((args, []))
    reported = json.loads((disk / "output_metadata.json").read_text())["artifacts"]
    return {name: held["artifacts"][0] for name, held in reported.items()}


def test_inputs_have_the_types_that_the_step_declares(disk):
    copied = invoke(disk)["copy"]
    assert copied["metadata"]["saw"] == "Model Examples 3"
    assert copied["metadata"]["spans"] == 4


def test_outputs_are_reported_by_their_place_in_the_object_store(disk):
    assert invoke(disk)["copy"]["uri"] == "minio://bucket/run/Reporter/copy"
    assert (disk / "Reporter/copy/weights").read_text() == "0.5"


def test_properties_name_artifacts_by_their_place_in_the_object_store(disk):
    assert invoke(disk)["copy"]["metadata"]["made_of"] == "minio://bucket/run/Trainer/model"


def test_a_report_is_the_page_itself_so_that_kubeflow_shows_it(disk):
    report = invoke(disk)["report"]
    assert report["uri"] == "minio://bucket/run/Reporter/report/report.html"
    assert (disk / "Reporter/report/report.html").read_text() == "0.5"


def test_an_output_of_kubeflow_s_own_reaches_neither_disk_nor_tfx(disk):
    assert set(invoke(disk)) == {"copy", "report"}
    assert (disk / "Reporter/executor-logs-0").is_file()


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("minio://bucket/a/b", "/minio/bucket/a/b"),
        ("s3://bucket/a", "/s3/bucket/a"),
        ("gs://bucket/a", "/gcs/bucket/a"),
        ("/mnt/volume/a", "/mnt/volume/a"),
    ],
)
def test_artifacts_are_where_kubeflow_s_launcher_puts_them(monkeypatch, uri, path):
    monkeypatch.undo()
    assert step.local_path(uri) == path


def test_a_failing_executor_reports_nothing(disk, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr(Reporter, "Do", fail)
    with pytest.raises(RuntimeError, match="no luck"):
        invoke(disk)
    assert not (disk / "output_metadata.json").exists()


class Page(BaseExecutor):
    """Writes a page."""

    def Do(self, input_dict, output_dict, exec_properties):  # noqa: N802 - TFX's name
        (page,) = output_dict["out"]
        (Path(page.uri) / "page.html").write_text("<p>")
        print("written")


def test_a_process_in_a_pod_writes_its_output_and_its_log(tmp_path):
    """With what Kubeflow's launcher gives it, and no one else."""
    container = {
        "image": "any",
        "command": ["python", "-m", "kubeflow.step"],
        "args": [
            *("--executor_class_path", f"{__name__}.Page"),
            *("--json_serialized_invocation_args", "{{$}}"),
            *("--json_serialized_inputs_spec_args", "{}", "--tfx_outputs", '["out"]'),
        ],
    }
    package = test_launcher.package(
        tmp_path, one={**test_launcher.step(""), "executor": {"container": container}}
    )
    package.write_text(package.read_text().replace("system.Artifact", "system.HTML"))
    cluster = Cluster(tmp_path)
    one = cluster.run(package, {})["one"]
    assert one.state == "SUCCEEDED", one.log
    assert test_launcher.stored(cluster, one.outputs["out"]).read_text() == "<p>"
    assert "written" in test_launcher.stored(cluster, one.outputs["executor-logs"]).read_text()
