"""`pneumonia run`: turns a folder of X-rays into a pushed model, or says why it is refused."""

import argparse
import errno
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from client.exit_codes import DONE, FAILED, REFUSED, USAGE
from components.ingest import listing
from components.model.settings import AUTO, RANDOM
from pipeline import config as configuration
from pipeline.commands.console import add_settings, complain, reported
from pipeline.runs.folder import PRETRAINED, RUNS, RunFolder, RunFolderError

_OWN = ("client.", "components.", "pipeline.", "kubeflow.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--data", type=Path, required=True, help="folder with the X-rays")
    parser.add_argument("--config", type=Path, help="YAML file; without it the defaults hold")
    add_settings(parser)
    parser.add_argument("--run", help="name of the folder under runs/ (default: the config's name)")


def run(args: argparse.Namespace) -> int:
    """Runs the pipeline and prints the gate's verdict; returns the exit code."""
    try:
        config = configuration.load(args.config, args.set, args.run)
    except configuration.ConfigError as error:
        return complain("run", error, USAGE)
    if fault := _fault(config, args.data):
        return complain("run", fault, USAGE)
    folder = RunFolder(RUNS / config.name)
    try:
        with folder.locked():
            return _run(config, args.data, folder)
    except RunFolderError as error:
        return complain("run", error, FAILED)


def _fault(config: configuration.Config, data: Path) -> str | None:
    """Says what on this machine does not fit the arguments; else None."""
    if fault := listing.fault(data):
        return f"--data {fault}"
    if config.name == PRETRAINED:
        return f"--run {PRETRAINED}: that folder is for the published model; choose another name"
    source = config.model.weights
    if source not in (AUTO, RANDOM) and not Path(source).is_file():
        return f"model.weights: no file {source!r}; give {AUTO}, {RANDOM} or a file"
    return None


def _run(config: configuration.Config, data: Path, folder: RunFolder) -> int:
    def work() -> None:
        from pipeline import local_runner

        local_runner.run(config, data, folder)

    return carry_out(folder, data, work)


def carry_out(
    folder: RunFolder,
    data: Path,
    work: Callable[[], None],
    show_more: Callable[[Console], None] = lambda _: None,
) -> int:
    """Runs a pipeline and prints ledger, verdict and where the report lies.

    Call it under the folder's lock. It catches what the pipeline raises, and says why in one line.

    Args:
        folder: where the run keeps its things.
        data: the X-rays' folder, to be named.
        work: runs the pipeline.
        show_more: prints between the ingest ledger and the verdict.

    Returns:
        The exit code: DONE for a blessed model, REFUSED for a refused one, else FAILED.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    console = Console()
    began = time.monotonic()
    console.print(
        f"{folder.root}: X-rays from {escape(str(data))}; full log in {folder.log}", highlight=False
    )
    with reported(console, folder.log):
        try:
            from pipeline.commands import tables
            from pipeline.runs import verdict
            from pipeline.runs.publish import publish

            work()
            _show_ledger(folder, console)
            show_more(console)
            outcome = verdict.of_run(folder)
            report = publish(folder)
        except Exception as error:
            logging.getLogger(__name__).exception("the run failed")
            errors = Console(stderr=True, highlight=False)
            cause = _cause(error)
            errors.print(f"[red]failed:[/] {escape(_reason(cause))}")
            if remedy := _remedy(cause, folder):
                errors.print(remedy)
            errors.print(f"more in {folder.log}")
            return FAILED
    tables.show(outcome, console)
    console.print(f"report: {report}", highlight=False)
    console.print(f"[dim]{time.monotonic() - began:.0f} s[/]")
    return DONE if outcome.blessed else REFUSED


def _show_ledger(folder: RunFolder, console: Console) -> None:
    """Prints what became of the files, and copies the ingest report to the run's folder."""
    from components.ingest.report import read
    from pipeline.commands.tables import ledger_table
    from pipeline.runs import lineage

    report = lineage.latest_steps(folder.metadata)["XrayExampleGen"].outputs["ingest_report"].uri
    shutil.rmtree(folder.ingest, ignore_errors=True)
    shutil.copytree(report, folder.ingest)
    console.print(ledger_table(read(report)))


def _cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _reason(cause: BaseException) -> str:
    """The innermost cause's own words; Beam wraps them in its stage names."""
    return str(cause).split(" [while running ")[0].strip() or type(cause).__name__


def _remedy(cause: BaseException, folder: RunFolder) -> str | None:
    """What to do where the cause, which is none of our own errors, does not say it."""
    if type(cause).__module__.startswith(_OWN):
        return None
    if os.strerror(errno.ENOSPC) in str(cause):
        return "the disk is full: free some of it and start again; the run goes on where it stopped"
    if isinstance(cause, MemoryError):
        return "memory ran out: end what else runs here, or give the machine more"
    return (
        f"if a file was damaged: 'rm -r {folder.artifacts} {folder.metadata}' and start again; "
        "every step is computed anew, and what is served stays"
    )
