"""The gate's verdict as tables for the terminal."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components import names
from components.evaluator.config import FEW
from components.evaluator.results import ConfusionCounts, Figure, Slice
from components.ingest.report import Ledger
from pipeline.runs.history import Finished
from pipeline.runs.verdict import Verdict

SMALL: Final = " *"  # marks a slice whose figures say little
_DIGITS: Final = 3  # of a trial's specificity; what its score has after them is the loss


def show(verdict: Verdict, console: Console) -> None:
    """Prints bounds, confusion matrix and slices; the last line says what became of the model.

    Args:
        verdict: on a run's model.
        console: takes the tables.
    """
    overall = verdict.evaluation.overall
    for part in (
        _bounds(verdict, overall),
        _confusion(overall.counts),
        _slices([overall, *verdict.evaluation.slices]),
        *(f"[yellow]warning[/]: {escape(warning)}" for warning in verdict.warnings),
        _outcome(verdict),
    ):
        console.print(part, "", sep="\n")


def show_runs(
    runs: Sequence[Finished], changes: Sequence[Mapping[str, tuple[Any, Any]]], console: Console
) -> None:
    """Prints a line for each run, and what was changed from each to the next.

    Args:
        runs: in their order.
        changes: of each run, `Finished.changes` from the one before; empty where there is none.
        console: takes the lines.
    """
    table = _table("Runs", "started", "data", "gate", "recall (95 %)", "spec.", "AUC", "version")
    for run in runs:
        overall = run.verdict.evaluation.overall
        table.add_row(
            escape(run.name),
            f"{run.started:%m-%d %H:%M}",
            run.data,
            "[green]blessed[/]" if run.verdict.blessed else "[red]refused[/]",
            *(_short(figure) for figure in (overall.recall, overall.specificity)),
            f"{overall.auc.value:.3f}",
            str(run.verdict.version or "–"),
        )
    console.print(table, "", sep="\n")
    for run, changed in zip(runs, changes, strict=True):
        if changed:
            told = "; ".join(f"{field} {old} → {new}" for field, (old, new) in changed.items())
            console.print(f"[bold]{escape(run.name)}[/] {escape(told)}", highlight=False)


def show_trials(
    trials: Sequence[Mapping[str, float | int | str]], sensitivity: float, console: Console
) -> None:
    """Prints the trials of a search, the best first, and whether one beats the configuration.

    Args:
        trials: `trial_id`, `score` and the values tried of each; the first one tried is the
            configuration as it is.
        sensitivity: asked for.
        console: where to print.
    """
    default = min(trials, key=lambda trial: int(trial["trial_id"]))
    values = [name for name in default if name not in ("trial_id", "score")]
    table = _table("Trials", "score", *(name.replace("_", " ") for name in values))
    for trial in trials:
        name = "as configured" if trial is default else f"trial {trial['trial_id']}"
        table.add_row(name, f"{trial['score']:.4f}", *(_value(trial[key]) for key in values))
    console.print(table, "", sep="\n")
    console.print(
        f"score: specificity on val where {sensitivity:.0%} of the sick are found, less a "
        "thousandth of the validation loss, which decides between equal ones"
    )
    gain = round(float(trials[0]["score"]) - float(default["score"]), _DIGITS)
    better = f"trial {trials[0]['trial_id']} is better by {gain}"
    console.print(better if gain > 0 else "no trial is better than the configuration as it is")


def _value(value: float | str) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _bounds(verdict: Verdict, overall: Slice) -> Table:
    table = _table("Gate on the test split", "figure", "95 % interval", "asked for", "")
    for bound in verdict.evaluation.bounds:
        sign = "≤" if bound.at_most else "≥"
        table.add_row(*_figure(bound.figure), f"{sign} {bound.limit:.4f}", _ok(bound.ok))
    if not verdict.compared:
        table.add_row("recall drop", "–", "", "no model to compare with", "")
    if verdict.serving:
        table.add_row("served answers", "", "", "as evaluated", _ok(verdict.serving["ok"]))
    table.add_section()
    bounded = {bound.figure.name for bound in verdict.evaluation.bounds}
    asked = verdict.counterfactuals.figures if verdict.counterfactuals else ()
    free = (figure for figure in asked if figure.name not in bounded)
    for figure in (overall.specificity, overall.auc, *overall.others, *free):
        table.add_row(*_figure(figure), "", "")
    for signature, latency in (verdict.serving or {}).get("latency_ms", {}).items():
        table.add_row(f"served {signature}", f"{latency:.0f} ms", "", "", "")
    return table


def _confusion(counts: ConfusionCounts) -> Table:
    normal, pneumonia = names.CLASSES
    table = _table("Confusion matrix", f"called {pneumonia}", f"called {normal}")
    table.add_row(pneumonia, str(counts.true_positives), str(counts.false_negatives))
    table.add_row(normal, str(counts.false_positives), str(counts.true_negatives))
    return table


def _slices(slices: list[Slice]) -> Table:
    table = _table(
        f"Slices ({SMALL.strip()}: fewer than {FEW} films of a class)",
        "sick",
        "well",
        "recall (95 %)",
        "precision",
        "specificity",
        "AUC",
    )
    for item in slices:
        table.add_row(
            escape(f"{item.key} {item.value}{SMALL if item.is_small else ''}")
            if item.key
            else "all",
            str(item.counts.positives),
            str(item.counts.negatives),
            _short(item.recall),
            *(_short(figure) for figure in (item.precision, item.specificity)),
            "–" if math.isnan(item.auc.value) else f"{item.auc.value:.3f}",
        )
    return table


def _short(figure: Figure) -> str:
    """Two digits, so that a slice fits in a line of 80 characters."""
    if math.isnan(figure.value):
        return "–"
    interval = figure.interval if figure.name == "recall" else None
    return f"{figure.value:.2f}" + (f" ({interval[0]:.2f}–{interval[1]:.2f})" if interval else "")


def _outcome(verdict: Verdict) -> str:
    served = f"version {verdict.served} is served" if verdict.served else "nothing is served"
    if not verdict.blessed:
        reasons = [bound.reason for bound in verdict.evaluation.bounds if not bound.ok]
        if verdict.serving and not verdict.serving["ok"]:
            reasons.append(escape(verdict.serving["summary"]))
        return f"[red]refused[/]: {'; '.join(reasons)}; not pushed: {served} as before"
    if verdict.pushed:
        return f"[green]pushed[/]: {served} from {escape(str(verdict.serving_dir))}"
    holder = (
        f"version {verdict.version} holds this model"
        if verdict.version
        else "deleted since (another --run would push it again)"
    )
    return f"blessed; pushed by an earlier run, {holder}: {served}"


def _figure(figure: Figure) -> tuple[str, str, str]:
    return figure.title, figure.text, figure.interval_text


def _ok(ok: bool) -> str:
    return "[green]ok[/]" if ok else "[red]not ok[/]"


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False
    )
    table.add_column(no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def ledger_table(report: Ledger) -> Table:
    """The ledger for a console: what came in, what it became, why files were rejected."""
    table = Table(title="Ingest", title_justify="left", caption_justify="left")
    table.add_column("")
    table.add_column("files", justify="right")
    table.add_row("seen", f"{report.seen:,}")
    for split, counts in report.splits.items():
        classes = ", ".join(f"{counts[name]:,} {name}" for name in names.CLASSES)
        table.add_row(
            f"  {split}: {classes}; {counts['patients']:,} patients", f"{counts['films']:,}"
        )
    table.add_row("  duplicates", f"{report.duplicates:,}")
    table.add_row("  rejected", f"{report.rejected:,}")
    for reason, count in report.reasons.items():
        table.add_row(f"    {reason}", f"{count:,}")
    table.caption = "\n".join(escape(note) for note in report.notes)
    return table
