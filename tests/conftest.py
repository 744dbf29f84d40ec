"""What every test may use."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import setuptools  # noqa: F401 - TFX loads it late, and it refuses a distutils loaded before it
from xdist.scheduler import LoadFileScheduling, Scheduling

if TYPE_CHECKING:
    from tests.components.trainer_harness import Trained

hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def xrays() -> Path:
    """The folder of real X-rays (PNEUMONIA_XRAYS); tests that ask for it carry the marker."""
    folder = Path(os.environ.get("PNEUMONIA_XRAYS", "../shared/xrays"))
    folder = folder if folder.is_absolute() else REPOSITORY / folder
    if not folder.is_dir():
        pytest.skip(f"no real X-rays in {folder}; name their folder in PNEUMONIA_XRAYS")
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> "Trained":
    """One small training that many tests look at."""
    import tensorflow as tf

    from components.trainer.run import run_fn
    from tests.components import trainer_harness as harness

    data = tmp_path_factory.mktemp("data")
    harness.write_examples(data / "train", range(60))
    harness.write_examples(data / "val", range(1000, 1020))
    harness.write_transform(data / "transform")
    run = tmp_path_factory.mktemp("run")
    fn_args = harness.fn_args(data, run, run / "cache")
    run_fn(fn_args)
    model = Path(fn_args.serving_model_dir)
    loaded = tf.saved_model.load(str(model))
    return harness.Trained(data, run / "cache", run / "logs", model, loaded)


class _OneWorkerForOneRun(LoadFileScheduling):
    """A file's tests run in one worker, and so do the files that look at the same finished run."""

    _SAME_RUN = tuple(
        f"tests/e2e/test_{name}.py"
        for name in (
            *("after_the_push", "evaluation_notebook", "flink", "folders", "report", "run", "runs"),
        )
    )

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return self._SAME_RUN[0] if file in self._SAME_RUN else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    """Decides which tests one of xdist's workers gets together."""
    return _OneWorkerForOneRun(config, log)
