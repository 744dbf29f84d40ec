"""`pneumonia run`: turns a folder of X-rays into a pushed model, or says why it is refused."""

import argparse
import errno
import logging
import os
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.markup import escape

from client.exit_codes import DONE, FAILED, REFUSED, USAGE
from components.ingest import listing
from components.model.settings import AUTO, RANDOM
from pipeline import code_version
from pipeline import config as configuration
from pipeline.beam import forking
from pipeline.commands.console import add_settings, complain, reported
from pipeline.runs.folder import PRETRAINED, RUNS, RunFolder, RunFolderError

if TYPE_CHECKING:  # TensorFlow, and half a minute
    from pipeline.runs.verdict import Verdict

Result = TypeVar("Result")
_OWN = ("client.", "components.", "pipeline.", "kubeflow.")
_FOR_INT8 = ("openvino", "nncf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_common_arguments(parser)
    parser.add_argument(
        "--since",
        type=int,
        metavar="VERSION",
        help="train on from this served version; films it knows keep their splits and features",
    )


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what every command asks for that runs a pipeline."""
    parser.add_argument("--data", type=Path, required=True, help="folder with the X-rays")
    parser.add_argument("--config", type=Path, help="YAML file; without it the defaults hold")
    add_settings(parser)
    parser.add_argument("--run", help="name of the folder under runs/ (default: the config's name)")


def run(args: argparse.Namespace) -> int:
    """Runs the pipeline and prints the gate's verdict; returns the exit code."""
    return in_folder("run", args, args.set, partial(_run, since=args.since))


def in_folder(
    command: str,
    args: argparse.Namespace,
    overrides: Sequence[str],
    work: Callable[[configuration.Config, Path, RunFolder], int],
) -> int:
    """Does a command's work on a configuration and a folder that fit; returns the exit code.

    Args:
        command: its name, for complaints.
        args: what `add_common_arguments` asks for.
        overrides: `section.field=value`.
        work: takes the configuration, the data's folder and the run's folder, which is locked.
    """
    try:
        config = configuration.load(args.config, overrides, args.run)
    except configuration.ConfigError as error:
        return complain(command, error, USAGE)
    if fault := _fault(config, args.data):
        return complain(command, fault, USAGE)
    folder = RunFolder(RUNS / config.name)
    try:
        with folder.locked():
            return work(config, args.data, folder)
    except RunFolderError as error:
        return complain(command, error, FAILED)


def _fault(config: configuration.Config, data: Path) -> str | None:
    """Says what on this machine does not fit the arguments; else None."""
    if fault := listing.fault(data):
        return f"--data {fault}"
    if config.name == PRETRAINED:
        return f"--run {PRETRAINED}: that folder is for the published model; choose another name"
    source = config.model.weights
    if source not in (AUTO, RANDOM) and not Path(source).is_file():
        return f"model.weights: no file {source!r}; give {AUTO}, {RANDOM} or a file"
    int8 = {
        "push.int8_films": config.push.int8_films,
        "train.int8_features": config.train.int8_features,
    }
    for field in (name for name, wanted in int8.items() if wanted):
        if not all(map(find_spec, _FOR_INT8)):
            return f"{field} needs OpenVINO and NNCF: pip install 'pneumonia[fast]'"
    own = {"run_fn": config.code.run_fn, "preprocessing_fn": config.code.preprocessing_fn}
    faults = (code_version.fault(f"code.{field}", path) for field, path in own.items())
    return next(filter(None, faults), None)


def _run(config: configuration.Config, data: Path, folder: RunFolder, since: int | None) -> int:
    if since is not None and config.tune.trials:
        fault = "goes on with that version's network, and the Tuner may choose another"
        return complain("run", f"--since {since}: {fault}; add --set tune.trials=0", USAGE)

    def work() -> None:
        if config.beam.forks:
            forking.warm_up()  # while this process has the same to import
        from pipeline import local_runner

        local_runner.run(config, data, folder, since)

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
    began = time.monotonic()

    def finish(console: Console) -> "tuple[Verdict, Path]":
        work()  # first: it starts what imports beside this process
        from pipeline.runs import tracking, verdict
        from pipeline.runs.publish import publish

        show_ledger(folder, console)
        show_more(console)
        outcome, report = verdict.of_run(folder), publish(folder)
        if logged := tracking.log_newest(folder):
            console.print(escape(logged), highlight=False, soft_wrap=True)
        return outcome, report

    console = Console()
    done = attempted(folder, data, console, finish)
    if done is None:
        return FAILED
    from pipeline.commands import tables

    outcome, report = done
    tables.show(outcome, console)
    console.print(f"report: {report}", highlight=False)
    console.print(f"[dim]{time.monotonic() - began:.0f} s[/]")
    return DONE if outcome.blessed else REFUSED


def attempted(
    folder: RunFolder, data: Path, console: Console, work: Callable[[Console], Result]
) -> Result | None:
    """Does the work, a line for each step.

    Args:
        folder: the run's.
        data: the X-rays, for the first line.
        console: takes the lines.
        work: what is done, with the console to print on.

    Returns:
        What `work` gives; None where it failed, which is said in one line on stderr.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    console.print(
        f"{folder.root}: X-rays from {escape(str(data))}; full log in {folder.log}", highlight=False
    )
    with reported(console, folder.log):
        try:
            return work(console)
        except Exception as error:
            logging.getLogger(__name__).exception("the run failed")
            errors = Console(stderr=True, highlight=False)
            cause = _cause(error)
            errors.print(f"[red]failed:[/] {escape(_reason(cause))}")
            if remedy := _remedy(cause, folder):
                errors.print(remedy)
            errors.print(f"more in {folder.log}")
            return None


def show_ledger(folder: RunFolder, console: Console) -> None:
    """Prints what became of the files, and copies the ingest report to the run's folder.

    Args:
        folder: of a run whose XrayExampleGen is done.
        console: takes the table.
    """
    from components.ingest.report import read
    from pipeline.commands.tables import ledger_table
    from pipeline.runs import lineage

    ingest = lineage.latest_steps(folder.metadata, tunings=True)["XrayExampleGen"]
    report = ingest.outputs["ingest_report"].uri
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
