"""`pneumonia audit`: recall and precision after the push, from outcomes."""

import argparse
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from client.exit_codes import DONE, FAILED, REFUSED, USAGE
from pipeline.commands.console import complain
from pipeline.commands.monitored import Watched, add_log, add_metrics, write_metrics

if TYPE_CHECKING:  # scipy and scikit-learn take a second
    from components.monitoring.audit import Audit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.epilog = "Exit code 3: recall is below the gate's bound, or the control chart alarms."
    add_log(parser)
    parser.add_argument(
        "--bound", type=_share, help="least lower bound of recall; default: the run's gate's"
    )
    add_metrics(parser)


def run(args: argparse.Namespace) -> int:
    """Prints what the outcomes say; returns the exit code."""
    from client.request_log import outcomes
    from client.request_log.writer import RequestLogError
    from components.monitoring import audit, sample

    try:
        watched = Watched(args)
        films, others = watched.films(args.log)
        found = audit.audit(
            sample.of(films), outcomes.read(args.log), watched.expectation(args.bound), others
        )
        if args.metrics:
            write_metrics(args.metrics, _metrics(found))
    except FileNotFoundError as error:
        return complain("audit", error, USAGE)
    except (RequestLogError, OSError) as error:
        return complain("audit", error, FAILED)
    console = Console(highlight=False)
    console.print(_table(found, len(others)))
    console.print(*_cautions(found), sep="\n")
    console.print(_verdict(found))
    return REFUSED if found.is_below or found.is_alarmed else DONE


def _table(found: "Audit", left_out: int) -> Table:
    table = Table("", "", "95 % interval", title="After the push", title_justify="left")
    table.add_row("films with an outcome", str(found.known), "")
    table.add_row("outcomes of films that are not in the log", str(found.unmatched), "")
    table.add_row("films that other models answered", str(left_out), "")
    table.add_row("sick: found, missed", f"{found.hits}, {found.misses}", "")
    table.add_row("healthy: spared, called sick", f"{found.spared}, {found.false_alarms}", "")
    table.add_row("recall", f"{found.recall:.3f}", _interval(found.recall_interval))
    table.add_row("precision", f"{found.precision:.3f}", _interval(found.precision_interval))
    table.add_row("the gate's bound under recall", f"{found.expectation.bound:.3f}", "")
    highest = max(found.sums, default=0)
    table.add_row("control chart: highest sum, limit", f"{highest}, {found.chart.limit}", "")
    return table


def _cautions(found: "Audit") -> list[str]:
    chart = found.chart
    texts = [
        f"The chart expects {chart.expected:.3f} of sick films to be missed; then it alarms by "
        f"chance once in {chart.run_length:.0f} sick films, with twice as many after "
        f"{chart.run_length_worse:.0f}."
    ]
    sick, spared = found.followed
    if found.known and sick != spared:
        texts.append(
            f"Outcomes are known of {sick:.0%} of the films called sick and {spared:.0%} of the "
            f"others: recall corrected for that is {found.corrected:.3f}."
        )
    if found.from_page:
        texts.append(
            f"{found.from_page} outcomes come from the page's buttons: whoever pressed them had "
            "seen the answer, and leans to it."
        )
    texts.append("Outcomes come late: the newest films are the fewest among them.")
    return texts


def _verdict(found: "Audit") -> str:
    remedy = "recalibrate, retrain, or roll back (docs/after-the-push.md)"
    if found.is_below:
        low = found.recall_interval[0]
        return (
            f"below: recall's lower bound {low:.3f} is under {found.expectation.bound:.3f}; "
            f"{remedy}"
        )
    if found.is_alarmed:
        return f"alarm: more pneumonias are missed than expected; {remedy}"
    if not found.is_told:
        return f"open: {found.sick} sick films are known, and it takes {found.needed} to tell"
    return "kept: recall is what the gate asked for"


def _metrics(found: "Audit") -> list[tuple[str, str, float]]:
    return [
        ("pneumonia_recall", "Of films with an outcome.", found.recall),
        ("pneumonia_recall_lower_bound", "95 %, Wilson's.", found.recall_interval[0]),
        ("pneumonia_recall_bound_of_gate", "What the gate asked for.", found.expectation.bound),
        ("pneumonia_recall_told", "1: enough sick films are known.", float(found.is_told)),
        ("pneumonia_audit_failed", "1: audit exits 3.", float(found.is_below or found.is_alarmed)),
        ("pneumonia_missed_sum", "The control chart's.", float(max(found.sums, default=0))),
        ("pneumonia_audit_checked_seconds", "When outcomes were last audited.", time.time()),
    ]


def _interval(bounds: tuple[float, float]) -> str:
    return "{:.3f} to {:.3f}".format(*bounds)


def _share(text: str) -> float:
    if not 0 <= (number := float(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no share: it lies in 0 to 1")
    return number
