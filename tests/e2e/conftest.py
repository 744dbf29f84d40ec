"""Whole jobs through the command line, in processes of their own, as a user starts them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import cli
from tests import forked

ROOT = Path(__file__).resolve().parents[2]
TINY = (
    "image.size=64",
    "model.weights=random",
    "model.width=0.125",
    "model.first_trainable=block4_conv1",
    "train.epochs=6",
    "train.learning_rate=0.003",
    "train.patience=6",
    "gate.counterfactual_films=8",
    "report.robustness_films=4",
    "report.cam_films=4",
)
DONE, REFUSED = 0, 3  # exit codes
# So thin a network of random weights looks at anything.
ANY_LOOK = ("gate.letters=null", "gate.outside=null", "gate.wiped=null", "gate.heat_in_lungs=null")
NO_FLOORS = ("gate.recall=0", "gate.recall_lower_bound=0", "gate.precision=0", *ANY_LOOK)
FINISHED = (*TINY, *NO_FLOORS, "push.int8_films=20")
NO_REPORT = (
    "gate.counterfactual_films=0",
    "report.robustness_films=0",
    "report.cam_films=0",
    "report.films_per_gallery=0",
)
ANY_MODEL = (*TINY, *NO_FLOORS, *NO_REPORT, "gate.max_recall_drop=1", "train.epochs=1")

Ended = tuple[Path, subprocess.CompletedProcess[str]]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def pneumonia() -> Run:
    """Runs one `pneumonia` command to its end; `cwd` is where runs/ lies, `sources` the project."""

    def run(cwd: Path, *words: str, sources: Path = ROOT) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(sources)}
        if sources == ROOT:
            return forked.run(cli.main, ["pneumonia", *words], cwd, environment)
        return subprocess.run(
            [sys.executable, "-m", "cli", *words],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory, pneumonia: Run) -> Path:
    """A small synthetic data set."""
    folder = tmp_path_factory.mktemp("films") / "xrays"
    made = pneumonia(folder.parent, "data", "synthesize", str(folder), "--images", "120")
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, films: Path, pneumonia: Run) -> Ended:
    """A folder with one finished, pushed run, and what that run said."""
    cwd = tmp_path_factory.mktemp("finished")
    ended = pneumonia(cwd, "run", "--data", str(films), *settings(*FINISHED))
    assert ended.returncode == DONE, ended.stdout + ended.stderr
    return cwd, ended


@pytest.fixture(scope="session")
def refused(finished: Ended, films: Path, pneumonia: Run) -> Ended:
    """The same folder after a second run whose model the gate refused, and what that run said."""
    cwd, _ = finished
    strict = ("gate.recall=1", "gate.precision=1", "gate.recall_lower_bound=0")
    other = ("gate.max_recall_drop=1", "train.learning_rate=0.002")
    ended = pneumonia(cwd, "run", "--data", str(films), *settings(*TINY, *strict, *other))
    assert ended.returncode == REFUSED, ended.stdout + ended.stderr
    return cwd, ended


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, which a test may edit."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("client", "components", "pipeline", "serving"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "cli.py", folder)
    return folder


@pytest.fixture(scope="session")
def any_run(
    tmp_path_factory: pytest.TempPathFactory, films: Path, sources: Path, pneumonia: Run
) -> Ended:
    """A folder with a finished run whose model does not matter; later runs may be added to it."""
    cwd = tmp_path_factory.mktemp("any-run")
    ended = pneumonia(cwd, "run", "--data", str(films), *settings(*ANY_MODEL), sources=sources)
    assert ended.returncode == DONE, ended.stdout + ended.stderr
    return cwd, ended


def settings(*values: str) -> list[str]:
    """Configuration fields as command-line words."""
    return [word for value in values for word in ("--set", value)]
