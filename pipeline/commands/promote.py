"""`pneumonia promote`: makes another version in a serving folder the served one."""

import argparse

from client.exit_codes import DONE, FAILED, USAGE
from components.pusher import promotion
from components.pusher.versions import PublishError
from pipeline.commands.console import add_where, complain
from pipeline.runs.folder import find


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--version", type=int, required=True, help="the version to serve")
    add_where(parser)


def run(args: argparse.Namespace) -> int:
    """Promotes the version and says under which number it is served; returns the exit code."""
    try:
        folder = args.serving_dir or find(args.run).serving
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
