"""`pneumonia report`: prints a finished run's verdict again, and where its report lies."""

import argparse
import json
import logging
import os

from client.exit_codes import DONE, FAILED, REFUSED
from pipeline.commands.console import add_run, complain, start_tensorflow
from pipeline.runs.folder import RunFolderError, find


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_run(parser)
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")


def run(args: argparse.Namespace) -> int:
    """Prints the verdict; returns 0 for a blessed model, 3 for a refused one."""
    try:
        folder = find(args.run)
    except FileNotFoundError as error:
        return complain("report", error, FAILED)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    start_tensorflow()
    from absl import logging as absl_logging
    from rich.console import Console

    absl_logging.set_verbosity(absl_logging.ERROR)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # TFMA uses what it deprecates
    from pipeline.commands import tables
    from pipeline.runs import verdict
    from pipeline.runs.publish import publish

    try:
        outcome = verdict.of_run(folder)
        report = publish(folder)
    except (verdict.NoVerdictError, FileNotFoundError, RunFolderError) as error:
        return complain("report", error, FAILED)
    if args.json:
        print(json.dumps(outcome.as_json(), indent=2))
    else:
        tables.show(outcome, Console())
        print(f"report: {report}")
    return DONE if outcome.blessed else REFUSED
