"""The gate's verdict as tables for the terminal."""

import math

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline import features
from pipeline.verdict import Bound, Counts, Figure, Slice, Verdict


def show(verdict: Verdict, console: Console) -> None:
    """Prints bounds, confusion matrix and slices; the last line says what became of the model."""
    overall = verdict.evaluation.overall
    for part in (
        _bounds(verdict, overall),
        _confusion(overall.counts),
        _slices([overall, *verdict.evaluation.slices]),
        *(f"[yellow]warning[/]: {escape(warning)}" for warning in verdict.warnings),
        _outcome(verdict),
    ):
        console.print(part, "", sep="\n")


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
    for figure in (overall.specificity, overall.auc, *overall.others):
        table.add_row(*_figure(figure), "", "")
    for signature, latency in (verdict.serving or {}).get("latency_ms", {}).items():
        table.add_row(f"served {signature}", f"{latency:.0f} ms", "", "", "")
    return table


def _confusion(counts: Counts) -> Table:
    normal, pneumonia = features.CLASSES
    table = _table("Confusion matrix", f"called {pneumonia}", f"called {normal}")
    table.add_row(pneumonia, str(counts.true_positives), str(counts.false_negatives))
    table.add_row(normal, str(counts.false_positives), str(counts.true_negatives))
    return table


def _slices(slices: list[Slice]) -> Table:
    table = _table("Slices", "sick", "well", "recall (95 %)", "precision", "specificity", "AUC")
    for item in slices:
        table.add_row(
            escape(f"{item.key} {item.value}") if item.key else "all",
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
        reasons = [reason(bound) for bound in verdict.evaluation.bounds if not bound.ok]
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


def reason(bound: Bound) -> str:
    """Why a bound that is not met refuses the model."""
    name, value, _ = _figure(bound.figure)
    if math.isnan(bound.figure.value):
        return f"{name} could not be measured"
    return f"{name} {value} is {'above' if bound.at_most else 'below'} {bound.limit:.4f}"


def _figure(figure: Figure) -> tuple[str, str, str]:
    interval = figure.interval
    known = interval and not math.isnan(interval[0])
    return (
        figure.name.replace("_", " "),
        "–" if math.isnan(figure.value) else f"{figure.value:.4f}",
        f"{interval[0]:.4f} to {interval[1]:.4f}" if interval and known else "",
    )


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
