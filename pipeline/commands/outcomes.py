"""`pneumonia outcomes add`: final diagnoses of logged films."""

import argparse
from pathlib import Path

from client.exit_codes import DONE, FAILED, USAGE
from pipeline.commands.console import complain


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", help="add the final diagnoses of films")
    add.add_argument(
        "file",
        type=Path,
        help="CSV with the columns film (SHA-256 or SOP Instance UID) and diagnosis (NORMAL or "
        "PNEUMONIA)",
    )
    add.add_argument("--log", type=Path, required=True, metavar="DIR", help="the request log's")


def run(args: argparse.Namespace) -> int:
    """Adds them, all or none, and says how many of them are in the log; returns the exit code."""
    from client.request_log import outcomes, reader
    from client.request_log.writer import RequestLogError

    try:
        added = outcomes.from_csv(args.file)
        films = list(reader.read(args.log))
        outcomes.add(args.log, added)
    except outcomes.OutcomesError as error:
        return complain("outcomes", error, USAGE)
    except (RequestLogError, OSError) as error:
        return complain("outcomes", error, FAILED)
    logged = {key for film in films for key in (film.sha256, film.instance)}
    found = sum(outcome.film in logged for outcome in added)
    print(f"{args.log}: {len(added)} outcomes added, {found} of films in the log")
    return DONE
