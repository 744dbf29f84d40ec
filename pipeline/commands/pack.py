"""`pneumonia pack`: writes what training changed in a served version, small enough to publish."""

import argparse
from pathlib import Path

from client.exit_codes import DONE, FAILED, USAGE
from pipeline.commands.console import add_run, complain, start_tensorflow
from pipeline.runs.folder import find


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_run(parser)
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
        folder = find(args.run).serving
    except FileNotFoundError as error:
        return complain("pack", error, USAGE)
    start_tensorflow()
    from components.pusher import versions
    from pipeline import pretrained

    if not (known := versions.versions(folder)):
        return complain("pack", f"{folder} holds no version yet", USAGE)
    target = args.to or pretrained.PACKED
    try:
        pretrained.pack(folder / str(known[-1]), target, args.made_by)
    except (pretrained.PretrainedError, OSError) as error:
        return complain("pack", error, FAILED)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{target}: version {known[-1]} of {folder}, {size / 1e6:.1f} MB")
    return DONE
