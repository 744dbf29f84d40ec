"""`pneumonia promote`: makes another version in a serving folder the served one."""

import argparse
from pathlib import Path

from client.exit_codes import DONE, FAILED, REFUSED, USAGE
from components.pusher import promotion, versions
from components.pusher.versions import PublishError
from pipeline.commands.console import add_where, complain
from pipeline.runs.folder import find


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--version", type=int, required=True, help="the version to serve")
    parser.add_argument(
        "--shadowed",
        action="store_true",
        help="only if `pneumonia shadow` has found it no worse than the served version",
    )
    add_where(parser)


def run(args: argparse.Namespace) -> int:
    """Promotes the version and says under which number it is served; returns the exit code."""
    try:
        folder = args.serving_dir or find(args.run).serving
        if args.shadowed and (fault := _unproven(folder, args.version)):
            return complain("promote", fault, REFUSED)
        served = promotion.promote(folder, args.version)
    except (FileNotFoundError, promotion.UnknownVersionError) as error:
        return complain("promote", error, USAGE)
    except PublishError as error:
        return complain("promote", error, FAILED)
    if served == args.version:
        print(f"{folder}: version {served} is the served one already")
    else:
        print(f"{folder}: version {args.version} is served from now on, as version {served}")
    return DONE


def _unproven(folder: Path, version: int) -> str | None:
    """Why no shadow speaks for the version; None where one does."""
    from components.monitoring import shadow

    there = versions.versions(folder)
    if version not in there:
        return None  # the promotion says so
    found = shadow.kept(
        folder, versions.model_sha256(folder, there[-1]), versions.model_sha256(folder, version)
    )
    ask = f"pneumonia shadow --candidate {version}"
    if found is None:
        return f"version {version} was never shadowed beside {there[-1]}; run {ask}"
    if not found.is_enough:
        return f"its shadow saw {found.films} films, fewer than {shadow.FEWEST}; run {ask} on more"
    if found.is_worse:
        return f"version {version} is worse than {there[-1]}, by its shadow's {found.films} films"
    return None
