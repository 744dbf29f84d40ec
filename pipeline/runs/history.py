"""The finished runs below a folder, side by side: what each was, and what it came to."""

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tfx.types.artifact_utils import get_split_uri
from tfx.types.standard_artifacts import Examples
from tfx.utils import path_utils

from components import names
from components.evaluator.results import NoVerdictError
from pipeline.runs import lineage, verdict
from pipeline.runs.folder import RunFolder, RunFolderError
from pipeline.runs.lineage import ExecutedStep
from pipeline.runs.verdict import Verdict

_DIGITS = 8  # of a data set's fingerprint, enough to tell some from others

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Finished:
    """One run that came to a verdict.

    Attributes:
        name: the folder's, a dot, and the number of the run among the folder's, from 1.
        started: when.
        config: its configuration, by `section.field`.
        data: the first digits of the data set's fingerprint.
        verdict: on its model.
        evaluation: the Evaluator's folder.
        model: the SavedModel.
        test: the raw examples of its test split.
    """

    name: str
    started: datetime
    config: Mapping[str, Any]
    data: str
    verdict: Verdict
    evaluation: Path
    model: Path
    test: Path

    def changes(self, before: "Finished") -> dict[str, tuple[Any, Any]]:
        """The fields of the configuration that differ: the value before and the value here."""
        fields = sorted(before.config.keys() | self.config.keys())
        pairs = {field: (before.config.get(field), self.config.get(field)) for field in fields}
        return {field: pair for field, pair in pairs.items() if pair[0] != pair[1]}


def finished(runs: Path) -> list[Finished]:
    """Reads all finished runs below a folder such as `runs/`, the oldest first.

    A run that broke off, or whose artifacts are gone, is left out, and so is a repetition that took
    everything from the cache. A folder whose database is damaged is left out with a warning.
    """
    found: list[Finished] = []
    for database in sorted(runs.glob("*/metadata.db")):
        try:
            found += of_folder(RunFolder(database.parent))
        except RunFolderError as error:
            _log.warning("left out: %s", error)
    return sorted(found, key=lambda run: run.started)


def chosen(runs: Sequence[Finished], wanted: Sequence[str]) -> list[Finished]:
    """Picks runs by their names; a folder's name alone is its newest run.

    Args:
        runs: those that there are, oldest first.
        wanted: names.

    Returns:
        The runs in the order of `wanted`.

    Raises:
        LookupError: there is no such run; the message says which there are.
    """
    by_name = {run.name.rpartition(".")[0]: run for run in runs} | {run.name: run for run in runs}
    if missing := [name for name in wanted if name not in by_name]:
        there = ", ".join(run.name for run in runs)
        raise LookupError(f"no finished run '{missing[0]}'; there are: {there or 'none'}")
    return [by_name[name] for name in wanted]


def of_folder(folder: RunFolder) -> list[Finished]:
    """Reads the finished runs of one folder, as `finished` does."""
    found: list[Finished] = []
    seen = set()
    for run in reversed(list(lineage.pipeline_runs(folder.metadata))):
        reporter, pusher = run.steps.get("Reporter"), run.steps.get("AtomicPusher")
        if not (reporter and pusher and reporter.succeeded and pusher.succeeded):
            continue
        key = (run.steps["Evaluator"].outputs["evaluation"].uri, reporter.parameters["config"])
        if key in seen:
            continue
        seen.add(key)
        try:
            found.append(_read(folder, f"{folder.root.name}.{len(seen)}", run))
        except (NoVerdictError, OSError) as error:
            _log.warning("%s: left out: %s", folder.root, error)
    return found


def _read(folder: RunFolder, name: str, run: lineage.PipelineRun) -> Finished:
    steps = run.steps
    told = steps["Reporter"].parameters
    config = _flat(json.loads(str(told["config"])))
    config.pop("name")
    return Finished(
        name=name,
        started=run.started,
        config=config,
        data=str(told["data_version"])[:_DIGITS],
        verdict=verdict.of_steps(folder, steps),
        evaluation=steps["Evaluator"].outputs["evaluation"].uri,
        model=Path(path_utils.serving_model_path(str(_model(steps)))),
        test=_test_split(steps["XrayExampleGen"]),
    )


def _model(steps: Mapping[str, ExecutedStep]) -> Path:
    maker = steps.get("Trainer") or steps["Recalibrator"]
    return maker.outputs["model"].uri


def _test_split(ingest: ExecutedStep) -> Path:
    output = ingest.outputs["examples"]
    examples = Examples()
    examples.uri = str(output.uri)
    examples.split_names = str(output.properties["split_names"])
    return Path(get_split_uri([examples], names.TEST))


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
