"""`pneumonia promote`: makes another version in a serving folder the served one."""

import argparse
import sys
from pathlib import Path

from components.versions import PublishError
from pipeline import promotion, run_folder

DONE, FAILED, USAGE = 0, 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--version", type=int, required=True, help="the version to serve")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--run", help="name of the folder under runs/ (default: the latest run)")
    where.add_argument(
        "--serving-dir",
        type=Path,
        help="folder that holds the versions, such as a mounted volume's; instead of a run's",
    )


def run(args: argparse.Namespace) -> int:
    """Promotes the version and says under which number it is served; returns the exit code."""
    try:
        folder = args.serving_dir or run_folder.find(args.run).serving
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
