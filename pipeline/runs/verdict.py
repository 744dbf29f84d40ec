"""The gate's verdict on a run, read from what the steps that judge wrote."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.counterfactuals.findings import Findings
from components.evaluator import results
from components.evaluator.results import Evaluation, NoVerdictError
from components.pusher import versions
from pipeline.runs import lineage
from pipeline.runs.folder import RunFolder
from pipeline.runs.lineage import ExecutedStep


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether a run's model may be used, why, and what became of it."""

    evaluation: Evaluation
    blessed: bool
    compared: bool  # with a model that was served before
    serving: Mapping[str, Any] | None  # ServingCheck's findings; None: it was not part of the run
    counterfactuals: Findings | None  # as well; their bounds are among the evaluation's, too
    pushed: bool  # by this very run
    version: int | None  # the version that holds the model; None: refused, or deleted since
    served: int | None  # the version that is served now
    serving_dir: Path
    warnings: tuple[str, ...] = ()  # what nobody is refused for, and should be known

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; figures that could not be measured are None."""
        return _plain(dataclasses.asdict(self))


def of_run(folder: RunFolder) -> Verdict:
    """The verdict on the newest run in the folder; raises NoVerdictError where it broke off."""
    return of_steps(folder, lineage.latest_steps(folder.metadata))


def of_steps(folder: RunFolder, steps: Mapping[str, ExecutedStep]) -> Verdict:
    """The verdict on one of the folder's runs.

    Args:
        folder: the run's.
        steps: the run's, by component name.

    Raises:
        NoVerdictError: the run broke off before the Pusher was done.
    """
    from components.counterfactuals import findings
    from components.serving_check.component import REPORT

    pusher = steps.get("AtomicPusher")
    if pusher is None or not pusher.succeeded:
        raise NoVerdictError(
            f"{folder.root}: the newest run broke off; start it again to finish it"
        )
    evaluator = steps["Evaluator"].outputs
    blessing, pushed = evaluator["blessing"].properties, pusher.outputs["pushed_model"].properties
    check, reporter = steps.get("ServingCheck"), steps.get("Reporter")
    report = reporter.outputs.get("report") if reporter else None
    serving = check.outputs["infra_blessing"] if check else None
    asked = steps.get("Counterfactuals")  # None: a run of an older version
    changed = findings.read(asked.outputs["blessing"].uri) if asked else None
    evaluation = results.read(evaluator["evaluation"].uri).evaluation
    there = versions.versions(folder.serving)
    version = int(pushed["pushed_version"]) if pushed.get("pushed") == 1 else None
    return Verdict(
        evaluation=evaluation.and_also(changed.bounds) if changed else evaluation,
        blessed=blessing.get("blessed") == 1
        and (serving is None or serving.properties.get("blessed") == 1)
        and (changed is None or changed.ok),
        compared="baseline_model" in blessing,
        counterfactuals=changed,
        serving=json.loads((serving.uri / REPORT).read_text("utf-8")) if serving else None,
        pushed=not pusher.cached and pushed.get("published") == 1,
        version=version if version in there else None,
        served=there[-1] if there else None,
        serving_dir=folder.serving,
        warnings=tuple(str(report.properties.get("warnings", "")).splitlines()) if report else (),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return str(value) if isinstance(value, Path) else value
