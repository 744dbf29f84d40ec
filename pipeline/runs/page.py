"""One self-contained page on several runs: figures from run to run, and runs against each other."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from components import names
from components.evaluator.results import Bound, Figure
from components.files import replacing
from components.reporter import charts, html
from pipeline.runs.comparison import Examined, RunComparison
from pipeline.runs.history import Finished

_TEMPLATES = Path(__file__).parent


def write(runs: Sequence[Finished], comparisons: Iterable[RunComparison], target: Path) -> None:
    """Writes the page, whole or not at all; it loads nothing from elsewhere.

    Args:
        runs: all that are listed, the oldest first.
        comparisons: of pairs among them.
        target: the page's file.
    """
    template = html.environment(_TEMPLATES, html.TEMPLATES).get_template("runs.html")
    page = template.render(
        runs=runs,
        changes=changes(runs),
        trends=_trends(runs),
        comparisons=list(comparisons),
        roc=_roc,
        classes=names.CLASSES,
        font=html.font(),
    )
    with replacing(target) as file:
        file.write(page.encode())


def changes(runs: Sequence[Finished]) -> list[dict[str, tuple[Any, Any]]]:
    """For each run the fields that differ from the run before it in the list."""
    return [run.changes(before) for before, run in zip([*runs[:1], *runs], runs, strict=False)]


def _trends(runs: Sequence[Finished]) -> list[tuple[str, Markup]]:
    """A chart for each figure that a bound was ever set on, and for those that say most."""
    measured = [_figures(run) for run in runs]
    bounds = [_bounds(run) for run in runs]
    wanted = dict.fromkeys(
        ["recall", "specificity", "precision", "auc", *(name for by in bounds for name in by)]
    )
    found = []
    for name in wanted:
        title = str(html.TITLES.get(name, name.replace("_", " ")))
        figures = [
            by_bound[name].figure if name in by_bound else by_name.get(name)
            for by_name, by_bound in zip(measured, bounds, strict=True)
        ]
        limits = [by_bound[name].limit if name in by_bound else None for by_bound in bounds]
        found.append((title, charts.over_runs(title, figures, limits)))
    return found


def _figures(run: Finished) -> Mapping[str, Figure]:
    overall = run.verdict.evaluation.overall
    shown = (overall.recall, overall.specificity, overall.precision, overall.auc)
    return {figure.name: figure for figure in shown}


def _bounds(run: Finished) -> Mapping[str, Bound]:
    return {bound.figure.name: bound for bound in run.verdict.evaluation.bounds}


def _roc(first: Examined, second: Examined) -> Markup:
    """The second run's curve over the first's."""
    return charts.roc(dataclasses.replace(second.results, baseline=first.results.candidate))
