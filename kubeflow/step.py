"""Runs one step in its pod: TFX's entry point, told what open-source Kubeflow leaves unsaid.

TFX's own entry point was written for Vertex AI and Cloud Storage. Open-source Kubeflow differs, as
its driver and launcher show (kubeflow/pipelines, backend/src/v2): it hands input artifacts over
without their type; it copies artifacts between the object store and the pod's disk by itself and
expects the step to work on the copies, under /minio, /s3 or /gcs, where it makes no folder for an
output; it adds outputs of its own (`executor-logs`, a file that it writes to); and its page shows a
`system.HTML` artifact only where the URI is the HTML file's own. On Vertex AI /gcs is a mount of
Cloud Storage, so the same works there.
"""

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from absl import app
from absl.flags import argparse_flags
from tfx.orchestration.kubeflow.v2 import compiler_utils
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor
from tfx.types.artifact import Artifact

from kubeflow import metrics

HTML_TITLE: Final = "system.HTML"
_MOUNTS: Final = {"gs://": "/gcs/", "minio://": "/minio/", "s3://": "/s3/"}

Json = dict[str, Any]


class HTML(Artifact):
    """Kubeflow's own type for a page to show; TFX knows no such type."""

    TYPE_NAME = HTML_TITLE


def main(parsed: tuple[argparse.Namespace, list[str]]) -> None:
    """Runs the executor that the command line names; raises what the executor raises."""
    args, beam_args = parsed
    compiler_utils.TITLE_TO_CLASS_PATH[HTML_TITLE] = "kubeflow.step.HTML"
    invocation = json.loads(args.json_serialized_invocation_args)
    declared = json.loads(args.json_serialized_inputs_spec_args).get("artifacts", {})
    inputs, outputs = _artifacts(invocation["inputs"]), _artifacts(invocation["outputs"])
    others = {key: outputs.pop(key) for key in outputs.keys() - set(json.loads(args.tfx_outputs))}
    for key in others:
        del invocation["outputs"]["artifacts"][key]
    for key, artifact in inputs.items():
        if not any(artifact.get("type", {}).values()):
            artifact["type"] = declared[key]["artifactType"]
    uris = _on_disk([*inputs.values(), *outputs.values()])
    for artifact in outputs.values():
        Path(artifact["uri"]).mkdir(parents=True, exist_ok=True)
    args.json_serialized_invocation_args = json.dumps(invocation)
    kubeflow_v2_run_executor.main((args, beam_args))
    output_file = Path(invocation["outputs"]["outputFile"])
    report = json.loads(output_file.read_text(encoding="utf-8"))
    if metrics.OUTPUTS.keys() <= others.keys():
        _add_metrics(report, inputs, outputs, others)
    _name_in_store(_artifacts(report), outputs, uris)
    output_file.write_text(json.dumps(report), encoding="utf-8")


def local_path(uri: str) -> str:
    """Where Kubeflow's launcher keeps an artifact in the pod; other URIs are paths already."""
    for scheme, mount in _MOUNTS.items():
        if uri.startswith(scheme):
            return mount + uri.removeprefix(scheme)
    return uri


def _artifacts(side: Json) -> dict[str, Json]:
    """The artifacts by their keys; Kubeflow gives each key one."""
    lists = side.get("artifacts", {})
    return {key: held["artifacts"][0] for key, held in lists.items() if held.get("artifacts")}


def _on_disk(artifacts: Iterable[Json]) -> dict[str, str]:
    """Points the artifacts at their copies on disk; returns their URIs by these paths."""
    uris = {}
    for artifact in artifacts:
        path = local_path(artifact["uri"])
        uris[path] = artifact["uri"]
        artifact["uri"] = path
    return uris


def _name_in_store(
    reported: Mapping[str, Json], outputs: Mapping[str, Json], uris: Mapping[str, str]
) -> None:
    """Puts URIs in the place of paths in what is reported; the pod's disk will be gone."""
    for key, artifact in reported.items():
        folder = artifact["uri"]
        artifact["uri"] = uris.get(folder, folder)
        for name, value in artifact.get("metadata", {}).items():
            if isinstance(value, str):
                artifact["metadata"][name] = uris.get(value, value)
        if key in outputs and outputs[key]["type"].get("schemaTitle") == HTML_TITLE:
            (page,) = Path(folder).glob("*.html")
            artifact["uri"] += f"/{page.name}"


def _add_metrics(
    report: Json,
    inputs: Mapping[str, Json],
    outputs: Mapping[str, Json],
    others: Mapping[str, Json],
) -> None:
    """Reports what the Evaluator found in the types that Kubeflow's pages draw."""
    blessing = _artifacts(report)["blessing"]
    figures = metrics.read(
        Path(outputs["evaluation"]["uri"]),
        Path(inputs["model"]["uri"]),
        blessed=blessing["metadata"]["blessed"] == 1,
    )
    for key, metadata in figures.items():
        report["artifacts"][key] = {"artifacts": [{**others[key], "metadata": metadata}]}


def _parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """What the compiler puts on the command line; the rest are Beam's arguments."""
    parser = argparse_flags.ArgumentParser(description=__doc__)
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument("--json_serialized_inputs_spec_args", required=True)
    parser.add_argument("--tfx_outputs", required=True, help="names as a JSON list")
    known: tuple[argparse.Namespace, list[str]] = parser.parse_known_args(argv[1:])
    return known


if __name__ == "__main__":
    app.run(main, flags_parser=_parse)
