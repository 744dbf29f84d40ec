"""The entry point gives TFX what open-source Kubeflow leaves unsaid, and reports back in URIs."""

import argparse
import json
from pathlib import Path

import pytest
from tfx.dsl.components.base.base_executor import BaseExecutor

from kubeflow import step

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


def invoke(tmp_path: Path) -> dict[str, object]:
    """Runs Reporter as Kubeflow's launcher would; returns what it reports."""
    disk = tmp_path / "disk"
    (disk / "model").mkdir(parents=True)
    (disk / "model" / "weights").write_text("0.5")
    task = "minio://bucket/run/Reporter"

    def artifact(key: str, **fields: object) -> dict[str, object]:
        place = {"uri": f"{task}/{key}", "customPath": str(disk / key)}
        return {"artifacts": [{**place, **fields}]}

    untyped = {"type": {"instanceSchema": ""}}
    given = {
        "inputs": {
            "parameterValues": {"times": 3.0},
            "artifacts": {
                "model": artifact("model", name="11", **untyped),
                "examples": artifact("examples", name="12", metadata={"span": 4.0}, **untyped),
            },
        },
        "outputs": {
            "artifacts": {
                "report": artifact("report", name="report", type=HTML),
                "copy": artifact("copy", name="copy", type=TYPES["model"]["artifactType"]),
            },
            "outputFile": str(disk / "output_metadata.json"),
        },
    }
    inputs = {"artifacts": TYPES, "parameters": {"times": {"parameterType": "NUMBER_INTEGER"}}}
    args = argparse.Namespace(
        executor_class_path=f"{__name__}.Reporter",
        json_serialized_invocation_args=json.dumps(given),
        json_serialized_inputs_spec_args=json.dumps(inputs),
    )
    step.main((args, []))
    reported = json.loads((disk / "output_metadata.json").read_text())["artifacts"]
    return {name: held["artifacts"][0] for name, held in reported.items()}


def test_inputs_have_the_types_that_the_step_declares(tmp_path):
    copied = invoke(tmp_path)["copy"]
    assert copied["metadata"]["saw"] == "Model Examples 3"
    assert copied["metadata"]["spans"] == 4


def test_outputs_are_reported_by_their_place_in_the_object_store(tmp_path):
    assert invoke(tmp_path)["copy"]["uri"] == "minio://bucket/run/Reporter/copy"
    assert (tmp_path / "disk/copy/weights").read_text() == "0.5"


def test_properties_name_artifacts_by_their_place_in_the_object_store(tmp_path):
    assert invoke(tmp_path)["copy"]["metadata"]["made_of"] == "minio://bucket/run/Reporter/model"


def test_a_report_is_the_page_itself_so_that_kubeflow_shows_it(tmp_path):
    report = invoke(tmp_path)["report"]
    assert report["uri"] == "minio://bucket/run/Reporter/report/report.html"
    assert Path(report["customPath"]) == tmp_path / "disk/report/report.html"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("minio://bucket/a/b", "/minio/bucket/a/b"),
        ("s3://bucket/a", "/s3/bucket/a"),
        ("gs://bucket/a", "/gcs/bucket/a"),
        ("/mnt/volume/a", "/mnt/volume/a"),
    ],
)
def test_artifacts_are_where_kubeflow_s_launcher_puts_them(uri, path):
    assert step.local_path({"uri": uri}) == path
    assert step.local_path({"uri": uri, "customPath": "/elsewhere"}) == "/elsewhere"


def test_a_failing_executor_reports_nothing(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr(Reporter, "Do", fail)
    with pytest.raises(RuntimeError, match="no luck"):
        invoke(tmp_path)
    assert not (tmp_path / "disk/output_metadata.json").exists()
