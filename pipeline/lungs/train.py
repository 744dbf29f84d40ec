"""Trains the network from its teachers, twice: the second time children's films teach, too."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import trange

from components.image.lung_network import SIDE, logits, standardised
from pipeline.lungs.changes import change, labels
from pipeline.lungs.teachers import Teachers

_FIRST_RATE = 2e-3
_MEAN = 0.99  # weights at the end: their moving mean
_DICE_SHARE = 0.5  # of the loss; the rest is cross-entropy


def initial(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, keras.Variable]:
    """He's initial weights (ICCV 2015); biases are 0.

    Args:
        shapes: by the weights' names.
        seed: of the draw.
    """
    he = keras.initializers.HeNormal(seed=keras.random.SeedGenerator(seed))
    return {
        name: keras.Variable(
            he(shape) if len(shape) > 1 else np.zeros(shape, np.float32), name=name
        )
        for name, shape in shapes.items()
    }


def values(weights: Mapping[str, keras.Variable]) -> dict[str, tf.Tensor]:
    """The weights as they are now, for `lung_fields`."""
    return {name: tf.constant(np.asarray(weight.value)) for name, weight in weights.items()}


def fit(
    weights: dict[str, keras.Variable],
    teachers: Sequence[tuple[Teachers, int]],
    steps: int,
    seed: int,
) -> None:
    """Trains weights in place.

    Args:
        weights: by the names of `lung_network.shapes`.
        teachers: with how many films of a batch come from each.
        steps: batches.
        seed: of all that is random.
    """
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    marks = tf.constant(labels(rng), tf.float32)
    variables = list(weights.values())
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, alpha=0.01, warmup_target=_FIRST_RATE, warmup_steps=steps // 20
    )
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=1.0, use_ema=True, ema_momentum=_MEAN)
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step(films: tf.Tensor, lungs: tf.Tensor) -> tf.Tensor:
        films, lungs = change(tf.cast(films, tf.float32), tf.cast(lungs, tf.float32), marks)
        with tf.GradientTape() as tape:
            found = logits(standardised(films), {n: w.value for n, w in weights.items()})
            loss = _loss(tf.image.resize(found, [SIDE, SIDE])[..., 0], lungs)
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
        return loss

    progress = trange(steps, desc="training")
    recent = np.nan
    for _ in progress:
        parts = [rng.integers(len(each.films), size=count) for each, count in teachers]
        films, lungs = (
            np.concatenate(
                [each[kind][part] for (each, _), part in zip(teachers, parts, strict=True)]
            )
            for kind in (0, 1)
        )
        loss = float(step(films, lungs))
        recent = loss if np.isnan(recent) else 0.98 * recent + 0.02 * loss
        progress.set_postfix(loss=f"{recent:.4f}", refresh=False)
    optimizer.finalize_variable_values(variables)


def save(weights: dict[str, keras.Variable], path: Path) -> None:
    """Writes weights as float16, half the size, by name.

    Args:
        weights: float32, by name.
        path: a .npz file.
    """
    arrays: dict[str, Any] = {
        name: np.asarray(weight.value).astype(np.float16) for name, weight in weights.items()
    }
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _loss(found: tf.Tensor, lungs: tf.Tensor) -> tf.Tensor:
    entropy = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(lungs, found))
    soft = tf.sigmoid(found)
    both = tf.reduce_sum(soft * lungs, [1, 2])
    overlap = (2 * both + 1) / (tf.reduce_sum(soft, [1, 2]) + tf.reduce_sum(lungs, [1, 2]) + 1)
    return (1 - _DICE_SHARE) * entropy + _DICE_SHARE * tf.reduce_mean(1 - overlap)
