"""Tuner's tuner_fn: trials of the top on the cached features, judged on the validation split."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import keras_tuner
import numpy as np
from keras_tuner import errors
from tfx.components.tuner.component import TunerFnResult

from components.model.network import Network
from components.model.settings import HEAD
from components.model.vgg16 import LAYERS
from components.trainer.feature_cache import Features
from components.trainer.fit import Fit, fit
from components.trainer.run import Settings, devices, features_of, vgg16

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs

SCORE: Final = "score"
_TIE: Final = 1e-3  # of the validation loss: it decides between equal specificities
_RANDOM: Final = 0.5  # of the trials, before the search learns from them


def tuner_fn(fn_args: "FnArgs") -> TunerFnResult:
    """Makes the search; called by TFX's Tuner.

    A trial trains the top once; the trunk's features are the Trainer's own, from its cache. Layers
    of the top before a trial's first trainable one are frozen, so one trunk serves all trials.
    State of search and trial lie in the cache: an interrupted search goes on where it was.

    Raises:
        ValueError: a split is empty or lacks a class.
    """
    settings = Settings.of(fn_args.custom_config)
    cache = Path(fn_args.custom_config["cache_dir"] or fn_args.working_dir)
    network, _ = vgg16(settings)
    train, val = features_of(network, fn_args, settings, cache)[:2]
    trials = fn_args.custom_config["trials"]
    parts = [asdict(settings), train.digest, val.digest, trials]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    oracle = DefaultFirst(
        objective=keras_tuner.Objective(SCORE, "max"),
        max_trials=trials,
        num_initial_points=max(2, math.ceil(_RANDOM * trials)),
        seed=settings.seed,
        hyperparameters=space(settings),
        allow_new_entries=False,
    )
    tuner = TopTuner(oracle, directory=str(cache / "tuning"), project_name=key)
    return TunerFnResult(
        tuner=tuner,
        fit_kwargs={"settings": settings, "train": train, "val": val, "verbose": 0},
    )


def space(settings: Settings) -> keras_tuner.HyperParameters:
    """What is searched, around the configuration, which is the default of each parameter."""
    model, train = settings.model, settings.train
    layers = (*LAYERS, HEAD)
    found = keras_tuner.HyperParameters()
    rate = train.learning_rate
    found.Float("learning_rate", rate / 5, rate * 10, sampling="log", default=rate)
    found.Float("dropout", 0.0, max(0.6, model.dropout), default=model.dropout)
    found.Choice(
        "first_trainable",
        list(layers[layers.index(model.first_trainable) :]),
        default=model.first_trainable,
    )
    found.Int("epochs", 1, 2 * train.epochs, default=train.epochs)
    smoothing = train.label_smoothing
    found.Float("label_smoothing", 0.0, max(0.1, smoothing), default=smoothing)
    return found


class DefaultFirst(keras_tuner.oracles.BayesianOptimizationOracle):
    """Bayesian optimisation whose first trial is the configuration as it is."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Chooses the values of a new trial; KerasTuner calls it."""
        if not self.start_order:
            values = {one.name: one.default for one in self.hyperparameters.space}
            return {"status": keras_tuner.engine.trial.TrialStatus.RUNNING, "values": values}
        return super().populate_space(trial_id)


class TopTuner(keras_tuner.engine.base_tuner.BaseTuner):
    """Trains the top of the network with each trial's values."""

    def run_trial(
        self, trial: Any, settings: Settings, train: Features, val: Features, verbose: int
    ) -> dict[str, float]:
        """Trains once; KerasTuner calls it.

        Returns:
            Under `score` the specificity on val at the sensitivity asked for, less a thousandth of
            the validation loss, which decides between equal ones.

        Raises:
            FatalError: whatever went wrong: no other trial would fare better.
        """
        try:
            fitted = self._fit(trial, settings, train, val)
        except Exception as error:
            raise errors.FatalError(str(error)) from error
        asked = settings.operating_point.sensitivity
        found = specificity_at(asked, fitted.evidence.mean(axis=(1, 2)), val.labels)
        return {SCORE: found - _TIE * fitted.best.val_loss}

    def _fit(self, trial: Any, settings: Settings, train: Features, val: Features) -> Fit:
        values: Mapping[str, Any] = trial.hyperparameters.values
        frozen = {"first_trainable": settings.model.first_trainable}  # the trunk stays as it is
        chosen = settings.tuned({**values, **frozen})
        strategy = devices()
        with strategy.scope():
            network, _ = vgg16(chosen)
        freeze_before(network, values["first_trainable"])
        checkpoint = Path(self.get_trial_dir(trial.trial_id)) / "top.npz"
        fitted = fit(
            network,
            train,
            val,
            chosen.train,
            seed=settings.seed,
            checkpoint=checkpoint,
            report=lambda _: None,
            strategy=strategy,
        )
        checkpoint.unlink(missing_ok=True)
        return fitted

    def search_space_summary(self, extended: bool = False) -> None:
        """Says nothing: the command's table does."""

    def results_summary(self, num_trials: int = 10) -> None:
        """Says nothing: the command's table does."""


def freeze_before(network: Network, first_trainable: str) -> None:
    """Leaves only the named layer of the top and those after it to be trained.

    Args:
        network: changed in place.
        first_trainable: one of vgg16.LAYERS, or the head.
    """
    layers = (*LAYERS, HEAD)
    trained = layers[layers.index(first_trainable) :]
    for layer in network.top.layers:
        layer.trainable = layer.name in trained


def specificity_at(sensitivity: float, logits: np.ndarray, labels: np.ndarray) -> float:
    """The share of healthy films below the highest cut that finds the share of sick ones asked for.

    Args:
        sensitivity: in (0,1).
        logits: float32[N].
        labels: int64[N], 0 or 1, both present.
    """
    sick = np.sort(logits[labels == 1])[::-1]
    cut = sick[math.ceil(sensitivity * len(sick) - 1e-9) - 1]
    return float(np.mean(logits[labels == 0] < cut))
