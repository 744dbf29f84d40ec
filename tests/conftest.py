"""What every test may use."""

import os
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling, Scheduling

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def xrays() -> Path:
    """The folder of real X-rays (PNEUMONIA_XRAYS); tests that ask for it carry the marker."""
    folder = Path(os.environ.get("PNEUMONIA_XRAYS", "../shared/xrays"))
    folder = folder if folder.is_absolute() else REPOSITORY / folder
    if not folder.is_dir():
        pytest.skip(f"no real X-rays in {folder}; name their folder in PNEUMONIA_XRAYS")
    return folder


class _OneWorkerForOneRun(LoadFileScheduling):
    """A file's tests run in one worker, and so do the files that look at the same finished run."""

    _SAME_RUN = tuple(
        f"tests/e2e/test_{name}.py" for name in ("evaluation_notebook", "flink", "report", "run")
    )

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return self._SAME_RUN[0] if file in self._SAME_RUN else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    """Decides which tests one of xdist's workers gets together."""
    return _OneWorkerForOneRun(config, log)
