"""`pneumonia shadow`: a candidate's decisions beside the served model's, on logged films."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from client.exit_codes import DONE, FAILED, REFUSED, USAGE
from pipeline.commands.console import complain, start_tensorflow
from pipeline.commands.monitored import Watched, add_log

if TYPE_CHECKING:
    from client.request_log.outcomes import Outcome

_PAGE = "shadow.html"
_SHOWN = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.epilog = "Exit code 3: the candidate is worse."
    parser.add_argument("--candidate", type=int, required=True, metavar="VERSION")
    parser.add_argument(
        "--films", type=Path, metavar="FOLDER", help="in place of the log's, which has no pixels"
    )
    parser.add_argument(
        "--page", type=Path, help=f"the page that is written; default: {_PAGE} in the log's folder"
    )
    add_log(parser)


def run(args: argparse.Namespace) -> int:
    """Asks, compares, writes the page, keeps the figures; returns the exit code."""
    from client.request_log.writer import RequestLogError
    from components.pusher import versions

    try:
        watched = Watched(args)
        if args.candidate not in (there := versions.versions(watched.serving)):
            listed = ", ".join(map(str, there))
            fault = f"no version {args.candidate} in {watched.serving}; there is: {listed}"
            return complain("shadow", fault, USAGE)
        films, known = _asked(args)
    except FileNotFoundError as error:
        return complain("shadow", error, USAGE)
    except (RequestLogError, OSError) as error:
        return complain("shadow", error, FAILED)
    if not films:
        fault = f"{args.log} holds no pixels; log with --log_pixels, or give --films"
        return complain("shadow", fault, USAGE)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    start_tensorflow()
    from components.model.loading import DamagedModelError
    from components.monitoring import page, shadow

    candidate = watched.serving / str(args.candidate)
    target = args.page or args.log / _PAGE
    try:
        found, differences = shadow.shadow(watched.path, candidate, films, known, _SHOWN)
        page.write_shadow(found, differences, watched.number, args.candidate, target)
        sha256 = versions.model_sha256(watched.serving, args.candidate)
        shadow.keep(found, watched.serving, watched.sha256, sha256)
    except DamagedModelError as error:
        return complain("shadow", error, FAILED)
    except OSError as error:
        return complain("shadow", f"{error.filename}: {error.strerror}", FAILED)
    called = found.called
    verdict = "worse" if found.is_worse else "no worse" if found.is_enough else "open: few films"
    Console(highlight=False, soft_wrap=True).print(
        f"{verdict}: of {found.films} films {called.only_served} are called sick by "
        f"{watched.number} alone, {called.only_candidate} by {args.candidate} alone "
        f"(McNemar's p {called.p_value:.4f}); {target}"
    )
    return REFUSED if found.is_worse else DONE


def _asked(args: argparse.Namespace) -> tuple[list[bytes], dict[str, "Outcome"]]:
    """Different films, of a folder or the log, and outcomes by the film's own hash.

    Those given by SOP Instance UID are among them; only a log knows which film has which UID.

    Raises RequestLogError.
    """
    from client import listing
    from client.request_log import outcomes, reader
    from client.request_log.writer import SUFFIX
    from components.examples import different

    known = outcomes.read(args.log)
    told, kept = dict(known), {}
    is_needed = not args.films or (known and any(args.log.glob(f"*{SUFFIX}")))
    for film in reader.read(args.log) if is_needed else ():
        if outcome := outcomes.of_film(known, film.sha256, film.instance):
            told[film.sha256] = outcome
        if film.pixels and not args.films:
            kept[film.sha256] = film.pixels
    films = list(different(listing.files([args.films]), [])) if args.films else list(kept.values())
    return films, told
