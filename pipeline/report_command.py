"""`pneumonia report`: the verdict of a finished run, again."""

import argparse
import json
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
    from rich.console import Console

    from pipeline import verdict, verdict_table

    try:
        outcome = verdict.of_run(folder)
    except verdict.NoVerdictError as error:
        print(f"pneumonia report: {error}", file=sys.stderr)
        return FAILED
    if args.json:
        print(json.dumps(outcome.as_json(), indent=2))
    else:
        verdict_table.show(outcome, Console())
    return DONE if outcome.blessed else REFUSED
