"""Shared by the commands: arguments, one-line complaints, a line per step, a quiet TensorFlow."""

import argparse
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from absl import logging as absl_logging
from rich.console import Console

_STARTS = "Component %s is running."
_ENDS = "Component %s is finished."
_CACHED = "A cached execution %d is used."
_STDERR = 2  # the file descriptor


def add_run(parser: argparse._ActionsContainer) -> None:
    """Adds `--run`, for commands that look at a run that is there."""
    parser.add_argument("--run", help="name of the folder under runs/ (default: the latest run)")


def add_where(parser: argparse.ArgumentParser) -> None:
    """Adds `--run` and, instead of it, `--serving-dir`."""
    where = parser.add_mutually_exclusive_group()
    add_run(where)
    where.add_argument(
        "--serving-dir",
        type=Path,
        help="folder that holds the versions, such as a mounted volume's; instead of a run's",
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Adds `--set`."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.FIELD=VALUE",
        help="set one field of the configuration, such as a bound of the gate; may be repeated",
    )


def complain(command: str, problem: object, code: int) -> int:
    """Says in one line on standard error what is wrong.

    Args:
        command: the command's name, such as `run`.
        problem: an error, or a sentence that names file, field and remedy.
        code: the exit code.

    Returns:
        The exit code.
    """
    print(f"pneumonia {command}: {problem}", file=sys.stderr)
    return code


class _Steps(logging.Handler):
    """Turns LocalDagRunner's log messages into a line per step."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console
        self._started = time.monotonic()
        self._cached = False

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == _STARTS:
            self._started, self._cached = time.monotonic(), False
            self._console.print(f"[bold]{_step(record)}[/]", highlight=False)
        elif record.msg == _CACHED:
            self._cached = True
        elif record.msg == _ENDS:
            seconds = time.monotonic() - self._started
            outcome = "cached" if self._cached else f"{seconds:.1f} s"
            self._console.print(f"  [green]✓[/] {_step(record)} [dim]{outcome}[/]", highlight=False)


def _step(record: logging.LogRecord) -> str:
    (component,) = record.args if isinstance(record.args, tuple) else ("?",)
    return str(component)


@contextmanager
def reported(console: Console, log: Path) -> Iterator[None]:
    """Shows each step on the console; all other messages and warnings go to a file.

    What compiled libraries print goes there too: they write to standard error's descriptor, not to
    sys.stderr.

    Args:
        console: for the steps.
        log: the file; messages are added to what it holds.
    """
    root = logging.getLogger()
    former, level = list(root.handlers), root.level
    file = logging.FileHandler(log, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.handlers = [file, _Steps(console)]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    # Otherwise the first parsing of absl's flags, in Transform, puts its logger at WARNING.
    absl_logging.set_verbosity(absl_logging.INFO)
    # TensorFlow's logger brings a handler of its own, which would write over the progress lines.
    logging.getLogger("tensorflow").handlers = [logging.NullHandler()]
    try:
        with _compiled_code_writes_to(log):
            yield
    finally:
        file.close()
        logging.captureWarnings(False)
        root.handlers = former
        root.setLevel(level)


@contextmanager
def _compiled_code_writes_to(log: Path) -> Iterator[None]:
    """Points standard error's descriptor to a file; sys.stderr still writes where it did before."""
    python = sys.stderr
    with standard_error_goes_to(log) as before:
        if python is sys.__stderr__:
            sys.stderr = os.fdopen(os.dup(before), "w", buffering=1, errors="backslashreplace")
        try:
            yield
        finally:
            if sys.stderr is not python:
                sys.stderr.close()
                sys.stderr = python


@contextmanager
def standard_error_goes_to(path: Path) -> Iterator[int]:
    """Points standard error's descriptor to a file; yields a descriptor of where it led before."""
    sys.stderr.flush()
    before = os.dup(_STDERR)
    with path.open("ab") as file:
        os.dup2(file.fileno(), _STDERR)
    try:
        yield before
    finally:
        sys.stderr.flush()
        os.dup2(before, _STDERR)
        os.close(before)


def start_tensorflow() -> None:
    """Imports TensorFlow and lets it look for GPUs; drops what is printed meanwhile.

    TF_CPP_MIN_LOG_LEVEL does not help: TensorFlow 2.21 prints these lines before it reads it.
    """
    with standard_error_goes_to(Path(os.devnull)):
        import tensorflow as tf

        tf.config.list_physical_devices()
