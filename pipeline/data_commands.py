"""`pneumonia data`: draw synthetic X-rays, check a data set, fetch the public one."""

import argparse
import sys
from pathlib import Path

_FAILED = 1
_USAGE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the group's commands; each sets `data_command`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    synthesize = commands.add_parser(
        "synthesize", help="draw labelled synthetic chest X-rays, marked as such"
    )
    synthesize.add_argument("out", type=Path, help="the set's folder")
    synthesize.add_argument("--images", type=int, default=280, help="how many (default: 280)")
    synthesize.add_argument("--seed", type=int, default=20, help="another one draws another set")
    synthesize.add_argument(
        "--dicom", action="store_true", help="write a quarter as DICOM, and a manifest"
    )
    synthesize.set_defaults(data_command=_synthesize)


def run(args: argparse.Namespace) -> int:
    """Runs the chosen command; returns its exit code."""
    return int(args.data_command(args))


def _synthesize(args: argparse.Namespace) -> int:
    from pipeline import synthesis

    recipe = synthesis.Recipe(images=args.images, seed=args.seed, dicom=args.dicom)
    try:
        new = synthesis.synthesize(args.out, recipe)
    except synthesis.SynthesisError as error:
        print(error, file=sys.stderr)
        return _USAGE
    except OSError as error:
        print(f"{error.filename or args.out}: {error.strerror}", file=sys.stderr)
        return _FAILED
    state = "drawn" if new else "there already"
    print(f"{args.out}: {args.images} synthetic films, {state}; not for diagnosis")
    return 0
