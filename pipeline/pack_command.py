"""`pneumonia pack`: writes what training changed of a served version, small enough to publish."""

import argparse
import sys
from pathlib import Path

from pipeline import run_folder

DONE, FAILED, USAGE = 0, 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--run", help="name of the folder under runs/ (default: the latest run)")
    parser.add_argument(
        "--to",
        type=Path,
        help="a new folder, or a packed model to replace (default: the project's own)",
    )
    parser.add_argument(
        "--made-by", default="", metavar="COMMAND", help="what makes this model anew; kept with it"
    )


def run(args: argparse.Namespace) -> int:
    """Packs the served version and says how large it is; returns the exit code."""
    try:
        folder = run_folder.find(args.run).serving
    except FileNotFoundError as error:
        print(f"pneumonia pack: {error}", file=sys.stderr)
        return USAGE
    from pipeline import quiet

    quiet.start_tensorflow()
    from components import versions
    from pipeline import pretrained

    if not (known := versions.versions(folder)):
        print(f"pneumonia pack: {folder} holds no version yet", file=sys.stderr)
        return USAGE
    target = args.to or pretrained.PACKED
    try:
        pretrained.pack(folder / str(known[-1]), target, args.made_by)
    except (pretrained.PretrainedError, OSError) as error:
        print(f"pneumonia pack: {error}", file=sys.stderr)
        return FAILED
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{target}: version {known[-1]} of {folder}, {size / 1e6:.1f} MB")
    return DONE
