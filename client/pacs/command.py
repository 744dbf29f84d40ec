"""`pneumonia pacs`: the gateway between a PACS and the model server, and a look at its queue."""

import argparse
import sqlite3
import sys
import time
from pathlib import Path

from client.exit_codes import DONE, FAILED, USAGE

_HERE = "127.0.0.1"
_LARGEST = 64  # MB of a file, as of the reader of films
_EPILOG = (
    "run: receive with --listen, look with --watch, or both. status: the queue, and why films "
    "failed. retry, ignore: FILM... by the key that logs and status give, or all failed ones. "
    "Research use only; not a medical device. docs/pacs.md has more."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    from client.server_arguments import add_server_arguments, positive_seconds

    parser.epilog = _EPILOG
    add = parser.add_argument
    add("action", nargs="?", choices=("run", "status", "retry", "ignore"), default="run")
    add("films", nargs="*", metavar="FILM", help="for retry and ignore; default: all that failed")
    add(
        "--queue",
        type=Path,
        default=Path("pacs-queue"),
        metavar="DIR",
        help="where films wait; default: %(default)s",
    )
    add(
        "--disk-limit", type=_count, default=4096, metavar="MB", help="for it; default: %(default)s"
    )
    add(
        "--film-limit",
        type=_film_limit,
        default=_LARGEST,
        metavar="MB",
        help="of one film; default, and most: %(default)s",
    )
    add("--tries", type=_count, default=5, metavar="N", help="of a film; default: %(default)s")
    add(
        "--concurrency",
        type=_count,
        default=3,  # while two are asked about, the third is read or its answer is written
        metavar="N",
        help="films that are worked on at once; default: %(default)s",
    )
    add("--card", default="", metavar="URL", help="of the model card, for the report")
    add("--viewer", default="", metavar="URL", help="for the worklist, with {study} in it")
    add(
        "--http",
        type=_address,
        default=(_HERE, 8107),
        metavar="[HOST:]PORT",
        help="health, metrics, worklist; no password; default: 127.0.0.1:8107",
    )
    add(
        "--allowed-hosts",
        nargs="+",
        default=(),
        metavar="NAME",
        help="names under which browsers reach the worklist, besides localhost and --http's",
    )
    pacs = parser.add_argument_group("PACS")
    add = pacs.add_argument
    add(
        "--pacs",
        metavar="URL_OR_AE",
        help="where answers go: https://host/dicom-web or TITLE@host:port",
    )
    add("--listen", type=_address, metavar="[HOST:]PORT", help="receive films by C-STORE")
    add("--title", default="PNEUMONIA", metavar="AET", help="own AE title; default: %(default)s")
    add("--caller", action="append", metavar="AET", help="who may send; default: the PACS's title")
    add("--watch", type=positive_seconds, metavar="SECONDS", help="look for films over DICOMweb")
    add("--days", type=_count, default=1, help="of studies to look through; default: %(default)s")
    add("--body-part", action="append", metavar="NAME", help="default: CHEST, THORAX and LUNG")
    add("--view", action="append", metavar="NAME", help="default: PA and AP")
    add("--dicom-cert", type=Path, metavar="PEM", help="own certificate: DICOM is encrypted")
    add("--dicom-key", type=Path, metavar="PEM", help="its key")
    add("--dicom-ca", type=Path, metavar="PEM", help="whom to trust; callers need its certificate")
    add_server_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the gateway until it is interrupted, or does one thing to its queue."""
    try:
        import pynetdicom  # noqa: F401
    except ImportError:
        return _complain("needs the packages of .[pacs]: pip install .[pacs]", FAILED)
    try:
        if args.action == "run":
            from client.pacs.service import serve

            return serve(args)
        return _look(args)
    except (ValueError, argparse.ArgumentTypeError) as error:
        return _complain(str(error), USAGE)
    except (OSError, sqlite3.Error) as error:
        return _complain(str(error), FAILED)


def _look(args: argparse.Namespace) -> int:
    from client.pacs.queue import Queue

    if not (args.queue / "queue.db").is_file():
        raise ValueError(f"{args.queue}: no queue there; name its folder with --queue")
    queue = Queue(args.queue)
    failed = queue.films(("failed",))
    if args.action == "status":
        for state, count in queue.counts().items():
            print(f"{state:<9}{count:>8}")
        waiting, oldest = queue.waiting()
        if waiting:
            print(f"the oldest has waited {oldest:.0f} s")
        for film in failed:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(film.changed))
            print(f"failed {film.key}  {when}  after {film.tries} tries: {film.reason}")
        return DONE
    act = queue.retry if args.action == "retry" else queue.ignore
    done = {key: act(key) for key in args.films or [film.key for film in failed]}
    for key, could in done.items():
        remedy = "it did not fail, or its bytes are gone: send it again"
        print(f"{key}: {args.action}" if could else f"{key}: cannot {args.action}; {remedy}")
    return DONE if all(done.values()) else FAILED


def _count(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 1")
    return number


def _film_limit(text: str) -> int:
    if (number := _count(text)) > _LARGEST:
        raise argparse.ArgumentTypeError(f"{text}: must be at most {_LARGEST}")
    return number


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 1 <= int(port) < 1 << 16:
        raise argparse.ArgumentTypeError(
            f"{text}: write port or host:port, such as 127.0.0.1:11112"
        )
    return host or _HERE, int(port)


def _complain(message: str, code: int) -> int:
    print(f"pneumonia pacs: {message}", file=sys.stderr)
    return code
