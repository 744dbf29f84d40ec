"""One small training that many tests look at."""

from pathlib import Path

import pytest

from tests.pipeline.trainer_harness import Trained


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    import tensorflow as tf

    from components.trainer.run import run_fn
    from tests.pipeline import trainer_harness as harness

    data = tmp_path_factory.mktemp("data")
    harness.write_examples(data / "train", range(60))
    harness.write_examples(data / "val", range(1000, 1020))
    harness.write_transform(data / "transform")
    run = tmp_path_factory.mktemp("run")
    fn_args = harness.fn_args(data, run, run / "cache")
    run_fn(fn_args)
    model = Path(fn_args.serving_model_dir)
    loaded = tf.saved_model.load(str(model))
    return Trained(data, run / "cache", run / "logs", model, loaded)
