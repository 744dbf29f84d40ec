"""`pneumonia report`: the verdict of a finished run, again, and where its report lies."""

import argparse
import json
import logging
import os
import sys

from pipeline.run_folder import find

DONE, FAILED, REFUSED = 0, 1, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--run", help="name of the folder under runs/ (default: the latest)")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")


def run(args: argparse.Namespace) -> int:
    """Prints the verdict; returns 0 for a blessed model, 3 for a refused one."""
    try:
        folder = find(args.run)
    except FileNotFoundError as error:
        print(f"pneumonia report: {error}", file=sys.stderr)
        return FAILED
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from pipeline import quiet

    quiet.start_tensorflow()
    from absl import logging as absl_logging
    from rich.console import Console

    absl_logging.set_verbosity(absl_logging.ERROR)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # TFMA uses what it deprecates
    from pipeline import verdict, verdict_table
    from pipeline.report.publish import publish

    try:
        outcome = verdict.of_run(folder)
        report = publish(folder)
    except (verdict.NoVerdictError, FileNotFoundError) as error:
        print(f"pneumonia report: {error}", file=sys.stderr)
        return FAILED
    if args.json:
        print(json.dumps(outcome.as_json(), indent=2))
    else:
        verdict_table.show(outcome, Console())
        print(f"report: {report}")
    return DONE if outcome.blessed else REFUSED
