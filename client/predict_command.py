"""`pneumonia predict`: asks the model server about files and folders of X-rays."""

import argparse
import os
import sys
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from client import listing, rows
from client.client import PneumoniaClient
from client.errors import ModelMissingError, ServerAwayError, ServerError
from client.exit_codes import DONE, FAILED, POSITIVE, USAGE
from client.results import Outcome
from client.server_arguments import HOW_TO_START, add_server_arguments, connect

_POLL = 0.2  # seconds

_EPILOG = (
    f"Exit codes: 0 every file was answered; {FAILED} some were not, or the server is away; "
    f"{USAGE} bad usage; {POSITIVE} with --fail-on-positive: all were answered, and at "
    "least one is PNEUMONIA. Research use only; not a medical device."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="FILE_OR_FOLDER",
        help="JPEG, PNG or DICOM; every file in a folder is asked about",
    )
    parser.add_argument(
        "--format", choices=rows.WRITERS, default="table", help="default: %(default)s"
    )
    parser.add_argument(
        "--heatmaps", type=Path, metavar="DIR", help="write each X-ray with its heat map there, PNG"
    )
    parser.add_argument(
        "--dicom-out",
        type=Path,
        metavar="DIR",
        help="write each DICOM's report, heat map and outlines there, as `pneumonia pacs` would",
    )
    parser.add_argument(
        "--fail-on-positive", action="store_true", help=f"exit with {POSITIVE} on any pneumonia"
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="for a server that is starting; default: %(default)g",
    )
    add_server_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Asks about every file, one row each; returns the exit code."""
    files = listing.files(args.paths, left_out=(args.heatmaps, args.dicom_out))
    if not files:
        return _complain("no file in " + ", ".join(map(str, args.paths)), FAILED)
    if args.dicom_out and not find_spec("highdicom"):
        return _complain("--dicom-out needs the packages of .[pacs]: pip install .[pacs]", FAILED)
    try:
        client = connect(args)
    except (OSError, ValueError) as error:
        return _complain(str(error), USAGE)
    try:
        with client:
            _await_server(client, args.wait)  # before any file is read
            counts = _ask(client, files, args)
    except ServerError as error:
        hint = f"; {HOW_TO_START}" if isinstance(error, ServerAwayError) else ""
        return _complain(f"{error}{hint}", FAILED)
    except BrokenPipeError:  # the reader of our output, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        where = error.filename or args.heatmaps or args.dicom_out or "standard output"
        return _complain(f"{where}: {error.strerror}", FAILED)
    if counts["unanswered"]:
        return FAILED
    return POSITIVE if args.fail_on_positive and counts["PNEUMONIA"] else DONE


def _await_server(client: PneumoniaClient, seconds: float) -> None:
    """Returns once a version is served; after `seconds` raises what the server said last."""
    end = time.monotonic() + seconds
    while True:
        try:
            client.metadata()
        except (ServerAwayError, ModelMissingError):
            if time.monotonic() >= end:
                raise
            time.sleep(_POLL)
        else:
            return


def _complain(message: str, code: int) -> int:
    print(f"pneumonia predict: {message}", file=sys.stderr)
    return code


def _ask(client: PneumoniaClient, files: list[Path], args: argparse.Namespace) -> Counter[str]:
    """Writes a row for each file, in order; returns how many were of which kind.

    Raises ServerAwayError when the server leaves in between, OSError where nothing can be written.
    """
    console = Console()
    overlays = listing.overlay_paths(files, args.heatmaps) if args.heatmaps else {}
    objects = listing.overlay_paths(files, args.dicom_out) if args.dicom_out else {}
    writer = rows.WRITERS[args.format](console, [rows.printable(file) for file in files])
    counts: Counter[str] = Counter()
    with _progress(console) as progress:
        task = progress.add_task("X-rays", total=len(files))
        outcomes = client.stream(files, cam=bool(overlays or objects))
        for outcome in outcomes:
            if isinstance(outcome.error, ServerAwayError):
                raise outcome.error
            row = rows.Row.of(outcome, _write_overlay(outcome, overlays.get(outcome.source)))
            if objects:
                _write_objects(outcome, objects[outcome.source], args.model)
            writer.write(row)
            counts[row.decision or "unanswered"] += 1
            progress.advance(task)
    summary = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    print(f"{len(files)} files: {summary}", file=sys.stderr)
    return counts


def _progress(output: Console) -> Progress:
    """A bar on standard error, if a terminal; where both are one terminal, below the rows."""
    console = output if output.is_terminal else Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        redirect_stdout=False,
        redirect_stderr=False,
        transient=True,
    )


def _write_overlay(outcome: Outcome[Path], path: Path | None) -> Path | None:
    """Writes the overlay; returns its path, if there is one."""
    if path is None or outcome.prediction is None or outcome.prediction.overlay is None:
        return None
    _write(path, outcome.prediction.overlay)
    return path


def _write_objects(outcome: Outcome[Path], path: Path, model: str) -> None:
    """Writes the DICOM objects of an answered DICOM beside `path`, by kind."""
    from client.pacs.answers import files  # needs the packages of .[pacs]

    if outcome.prediction is None:
        return
    try:
        objects = files.build(outcome.source, outcome.prediction, model)
    except ValueError as error:
        print(f"{rows.printable(outcome.source)}: no DICOM objects: {error}", file=sys.stderr)
        return
    for kind, content in objects.items():
        _write(path.with_suffix(f".{kind}.dcm"), content)


def _write(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
