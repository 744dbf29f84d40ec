"""`pneumonia promote`: makes another version in the run's serving folder the served one."""

import argparse
import sys

from components.versions import PublishError
from pipeline import promotion, run_folder

DONE, FAILED, USAGE = 0, 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--version", type=int, required=True, help="the version to serve")
    parser.add_argument("--run", help="name of the folder under runs/ (default: the latest run)")


def run(args: argparse.Namespace) -> int:
    """Promotes the version and says under which number it is served; returns the exit code."""
    try:
        folder = run_folder.find(args.run).serving
        served = promotion.promote(folder, args.version)
    except (FileNotFoundError, promotion.UnknownVersionError) as error:
        print(f"pneumonia promote: {error}", file=sys.stderr)
        return USAGE
    except PublishError as error:
        print(f"pneumonia promote: {error}", file=sys.stderr)
        return FAILED
    if served == args.version:
        print(f"{folder}: version {served} is the served one already")
    else:
        print(f"{folder}: version {args.version} is served from now on, as version {served}")
    return DONE
