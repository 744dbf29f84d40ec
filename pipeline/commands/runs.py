"""`pneumonia runs`: finished runs side by side, and a page that compares them."""

import argparse
import logging
import os
from pathlib import Path
from typing import Final

from client.exit_codes import DONE, FAILED
from pipeline.commands.console import complain, start_tensorflow
from pipeline.runs.folder import RUNS

PAGE: Final = RUNS / "runs.html"
_COMPARED: Final = 3  # runs, the newest, where nobody says which


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "--page", type=Path, nargs="?", const=PAGE, help=f"write the page too (default: {PAGE})"
    )
    parser.add_argument(
        "--compare",
        nargs="+",
        metavar="RUN",
        help="runs that the page compares in pairs (default: the newest three); implies --page",
    )


def run(args: argparse.Namespace) -> int:
    """Prints the runs below runs/ and writes the page where it is asked for."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    start_tensorflow()
    from absl import logging as absl_logging
    from rich.console import Console

    absl_logging.set_verbosity(absl_logging.ERROR)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # TFMA uses what it deprecates
    from pipeline.commands import tables
    from pipeline.runs import history, page
    from pipeline.runs.comparison import compare

    found = history.finished(RUNS)
    if not found:
        return complain("runs", f"no finished run in {RUNS}/; start one with 'make demo'", FAILED)
    try:
        compared = history.chosen(found, args.compare or [r.name for r in found[-_COMPARED:]])
    except LookupError as error:
        return complain("runs", error, FAILED)
    console = Console()
    tables.show_runs(found, page.changes(found), console)
    if target := args.page or (PAGE if args.compare else None):
        try:
            page.write(found, compare(compared), target)
        except OSError as error:
            return complain("runs", error, FAILED)
        console.print(f"page: {target}", highlight=False)
    return DONE
