"""MLflow, where MLFLOW_TRACKING_URI names one: a run's settings, figures and files."""

import json
import logging
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from components.model.card import EXTRA, SUMMARY
from components.names import MODEL_NAME
from pipeline.runs import history, lineage
from pipeline.runs.folder import RunFolder
from pipeline.runs.history import Finished

URI: Final = "MLFLOW_TRACKING_URI"
_KEY: Final = "pneumonia.evaluation"  # tag: tells one run of the pipeline from another
_LONGEST: Final = 500  # characters of a parameter, MLflow's least limit

_log = logging.getLogger(__name__)


def log_newest(folder: RunFolder) -> str | None:
    """Logs the folder's newest finished run, once, where MLFLOW_TRACKING_URI is set.

    No fault of MLflow's fails the run: it is said.

    Returns:
        What became of it, in one line; None where nobody asked.
    """
    if not os.environ.get(URI):
        return None
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        import mlflow
    except ImportError:
        return f"not logged to MLflow: {URI} is set and mlflow is missing; install .[tracking]"
    try:
        # A repetition from the cache is the newest run, and stands where it was first finished.
        newest = lineage.latest_steps(folder.metadata)["Evaluator"].outputs["evaluation"].uri
        finished = reversed(history.of_folder(folder))
        run = next(run for run in finished if run.evaluation == newest)
        mlflow.set_experiment(MODEL_NAME)
        same = mlflow.search_runs(
            filter_string=f"tags.`{_KEY}` = '{run.evaluation}'", output_format="list"
        )
        if not same:
            _log_run(run, folder.report)
    except Exception as error:  # whatever a server, a network or a disk makes of it
        _log.exception("MLflow")
        return f"not logged to MLflow: {' '.join(str(error).split())}"
    return f"MLflow: {run.name} in {os.environ[URI]}"


def _log_run(run: Finished, report: Path) -> None:
    import mlflow

    extra = run.model / EXTRA
    with mlflow.start_run(run_name=run.name, tags={_KEY: str(run.evaluation)}):
        mlflow.log_params(
            {"data": run.data, **{key: str(value)[:_LONGEST] for key, value in run.config.items()}}
        )
        mlflow.log_metrics({name: value for name, value in _figures(run) if math.isfinite(value)})
        for epoch in json.loads((extra / SUMMARY).read_text("utf-8"))["epochs"]:
            curves = {name: epoch[name] for name in ("loss", "val_loss", "val_auc")}
            mlflow.log_metrics(curves, step=epoch["number"])
        mlflow.log_artifact(str(report))
        mlflow.log_artifacts(str(extra), "model")


def _figures(run: Finished) -> Iterator[tuple[str, float]]:
    evaluation = run.verdict.evaluation
    overall = evaluation.overall
    yield "blessed", float(run.verdict.blessed)
    for figure in (overall.recall, overall.specificity, overall.precision, overall.auc):
        yield figure.name, figure.value
        if figure.interval:
            yield f"{figure.name}_low", figure.interval[0]
            yield f"{figure.name}_high", figure.interval[1]
    for bound in evaluation.bounds:
        # MLflow takes letters, digits and a few signs.
        yield "".join(c if c.isalnum() else "_" for c in bound.figure.name), bound.figure.value
