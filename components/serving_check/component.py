"""Blesses a candidate only if a model server gives the answers that were evaluated."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import path_utils

from components import names
from components.pusher import versions
from components.serving_check import trial

REPORT: Final = "serving_check.json"


@component
def ServingCheck(  # noqa: N802 - the step's name
    model: InputArtifact[standard_artifacts.Model],
    examples: InputArtifact[standard_artifacts.Examples],
    infra_blessing: OutputArtifact[standard_artifacts.InfraBlessing],
    code_version: Parameter[str],
    split: Parameter[str] = names.TEST,
    count: Parameter[int] = 8,
) -> None:
    """Serves the candidate, asks it of a split's first examples, and blesses it if all agree.

    Args:
        model: the candidate.
        examples: raw examples.
        infra_blessing: for AtomicPusher: custom properties `blessed`, 1 or 0, and the model's
            `judged_sha256`; the folder holds serving_check.json (`trial.TrialFindings`) and
            server.log.
        code_version: fingerprint of the sources, the server's included; part of the cache key.
        split: where the films come from.
        count: how many films to ask.
    """
    folder = Path(infra_blessing.uri)
    served = Path(path_utils.serving_model_path(model.uri))
    findings = trial.check(
        served,
        _first(Path(artifact_utils.get_split_uri([examples], split)), count),
        folder / "server.log",
    )
    (folder / REPORT).write_text(json.dumps(asdict(findings), indent=2) + "\n", "utf-8")
    infra_blessing.set_int_custom_property("blessed", int(findings.ok))
    infra_blessing.set_string_custom_property(versions.JUDGED, versions.digest(served))


def _first(split: Path, count: int) -> list[bytes]:
    files = sorted(str(path) for path in split.iterdir())
    return list(tf.data.TFRecordDataset(files, "GZIP").take(count).as_numpy_iterator())
