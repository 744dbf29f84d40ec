"""The Tuner's search: what it may change, what judges it, and that it goes on after a kill."""

import json
from pathlib import Path

import numpy as np
import pytest

from components.trainer import run, tune
from tests.components import trainer_harness as harness
from tests.components.trainer.test_run import summary
from tests.components.trainer_harness import Trained


class Killed(BaseException):
    """As SIGKILL would, it passes every handler of exceptions."""


def search(trained: Trained, work: Path) -> tune.TopTuner:
    found = tune.tuner_fn(harness.fn_args(trained.data, work, work / "cache"))
    found.tuner.search(**found.fit_kwargs)
    return found.tuner


def test_a_killed_search_goes_on_with_the_trial_it_was_at(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "features").symlink_to(trained.cache / "features")
    fitted, fit = [], tune.fit

    def dying(*args, **kwargs):
        fitted.append(kwargs["checkpoint"])
        if len(fitted) == 2:
            raise Killed
        return fit(*args, **kwargs)

    monkeypatch.setattr(tune, "fit", dying)
    with pytest.raises(Killed):
        search(trained, tmp_path)
    tuner = search(trained, tmp_path)
    first, second, again, third = fitted
    assert again == second
    assert len({first, second, third}) == 3
    trials = tuner.oracle.get_best_trials(9)
    assert sorted(trial.trial_id for trial in trials) == ["0", "1", "2"]
    by_id = {trial.trial_id: trial.hyperparameters.values for trial in trials}
    assert by_id["0"] == {  # the configuration as it is
        "learning_rate": harness.TRAIN.learning_rate,
        "dropout": harness.MODEL.dropout,
        "first_trainable": harness.MODEL.first_trainable,
        "epochs": harness.TRAIN.epochs,
        "label_smoothing": 0.0,
    }
    assert by_id["1"] != by_id["0"]
    assert not list((tmp_path / "cache" / "tuning").rglob("*.npz"))
    search(trained, tmp_path)  # finished: nothing is left to do
    assert len(fitted) == 4


def test_the_best_values_are_what_the_trainer_trains_with(trained: Trained, tmp_path: Path) -> None:
    values = {"learning_rate": 0.004, "dropout": 0.5, "epochs": 1, "first_trainable": "head"}
    fn_args = harness.fn_args(trained.data, tmp_path, None)
    fn_args.hyperparameters = {"space": [], "values": {**values, "label_smoothing": 0.05}}
    run.run_fn(fn_args)
    found = summary(Path(fn_args.serving_model_dir))
    used = {**found["config"]["model"], **found["config"]["train"]}
    assert {name: used[name] for name in values} == values
    assert used["label_smoothing"] == 0.05
    assert len(found["epochs"]) == 1
    assert json.dumps(found)


def test_layers_before_a_trial_s_first_trainable_one_stay_as_they_are() -> None:
    settings = run.Settings.of(harness.fn_args(Path(), Path(), None).custom_config)
    network, _ = run.vgg16(settings)
    tune.freeze_before(network, "block5_conv3")
    trained = {weight.path.split("/")[0] for weight in network.top.trainable_variables}
    assert trained == {"block5_conv3", "head"}


@pytest.mark.parametrize(("sensitivity", "specificity"), [(0.5, 1.0), (0.75, 0.5), (0.99, 0.25)])
def test_a_trial_is_judged_by_the_specificity_at_the_sensitivity_asked_for(
    sensitivity: float, specificity: float
) -> None:
    logits = np.array([4, 3, 1, 0, 2.5, 2, 0.5, -1], np.float32)
    labels = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    assert tune.specificity_at(sensitivity, logits, labels) == specificity
