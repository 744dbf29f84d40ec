"""Trains the judge of frontal chest films against everything else."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from tqdm import trange

from components.counterfactuals.blending import blended, filled
from components.image.frontal import logits
from components.image.lung_network import Weights, lung_fields
from pipeline.lungs.changes import change, labels
from pipeline.lungs.teachers import SIDE, Teachers

_RATE = 2e-3
_FRONTAL, _SPOILT, _OTHER = 18, 10, 14  # films of a batch


def spoilt(rng: np.random.Generator, film: NDArray[np.uint8], lungs: NDArray[np.bool_]) -> NDArray:
    """A frontal film made into none: turned, inverted, cut, shuffled, folded to a side view.

    Args:
        rng: chooses how.
        film: uint8[160,160].
        lungs: bool[160,160], of it.

    Returns:
        uint8[160,160].
    """
    kind = rng.choice(
        ["down", "quarter", "inverted", "cut", "shuffled", "folded"],
        p=[0.22, 0.13, 0.2, 0.17, 0.08, 0.2],
    )
    match kind:
        case "down":
            return np.rot90(film, 2) if rng.random() < 0.6 else film[::-1]
        case "quarter":
            return np.rot90(film, rng.choice([1, 3]))
        case "inverted":
            return 255 - (film[::-1] if rng.random() < 0.15 else film)
        case "cut":
            return _cut(rng, film, lungs)
        case "shuffled":
            parts = film.reshape(2, SIDE // 2, 2, SIDE // 2).swapaxes(1, 2).reshape(4, 80, 80)
            order = ((1, 2, 3, 0), (2, 3, 0, 1), (3, 2, 1, 0), (0, 3, 2, 1))[rng.integers(4)]
            mixed = parts[list(order)].reshape(2, 2, 80, 80)
            return mixed.swapaxes(1, 2).reshape(SIDE, SIDE)
        case _:
            return _folded(rng, film, lungs)


def wiped(rng: np.random.Generator, film: NDArray[np.uint8], lungs: NDArray[np.bool_]) -> NDArray:
    """A frontal film without its lungs: greyed, blurred, or made of what lies around them.

    Args:
        rng: chooses how, and how much around the lungs goes with them.
        film: uint8[160,160].
        lungs: bool[160,160], of it.

    Returns:
        uint8[160,160].
    """
    hole = ndimage.gaussian_filter(
        ndimage.binary_dilation(lungs, iterations=int(rng.integers(1, 6))).astype(np.float32),
        rng.uniform(0.5, 3),
    )
    if rng.random() < 0.25:  # the middle of the chest
        height, width = (int(SIDE * rng.uniform(0.6, 0.85)) for _ in range(2))
        top, left = (SIDE - height) // 2, (SIDE - width) // 2
        hole = np.zeros_like(hole)
        hole[top : top + height, left : left + width] = 1
    match rng.choice(["around", "grey", "blurred"], p=[0.5, 0.25, 0.25]):
        case "around":
            return filled(film, hole)
        case "grey":
            instead = np.full(film.shape, rng.uniform(30, 220), np.float32)
        case _:
            instead = ndimage.gaussian_filter(film.astype(np.float32), rng.uniform(10, 30))
    return blended(instead.astype(np.uint8), film, hole)


def fit(
    weights: dict[str, keras.Variable],
    lung_weights: Weights,
    chests: Sequence[Teachers],
    others: NDArray[np.uint8],
    steps: int,
    seed: int,
) -> None:
    """Trains weights in place.

    Args:
        weights: by the names of `frontal.shapes`.
        lung_weights: of the lung network, which shows the judge its masks.
        chests: frontal films, as many from each in a batch.
        others: uint8[n,160,160], of anything else.
        steps: batches.
        seed: of all that is random.
    """
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    marks = tf.constant(labels(rng), tf.float32)
    variables = list(weights.values())
    rate = keras.optimizers.schedules.CosineDecay(_RATE, steps, alpha=0.01)
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=1.0)
    optimizer.build(variables)
    truth = tf.constant([1.0] * _FRONTAL + [0.0] * (_SPOILT + _OTHER))

    @tf.function(autograph=False)
    def step(films: tf.Tensor, lungs: tf.Tensor) -> tf.Tensor:
        films, _ = change(tf.cast(films, tf.float32), tf.cast(lungs, tf.float32), marks)
        masks = lung_fields(films, lung_weights)
        with tf.GradientTape() as tape:
            judged = logits(films, masks, {name: w.value for name, w in weights.items()})
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(truth, judged))
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
        return loss

    progress = trange(steps, desc="training the judge")
    recent = 0.7
    for _ in progress:
        films, lungs = _drawn_from(rng, chests, _FRONTAL)
        wrong = [
            spoilt(rng, *pair) for pair in zip(*_drawn_from(rng, chests, _SPOILT), strict=True)
        ]
        wrong += list(others[rng.integers(len(others), size=_OTHER)])
        none = np.zeros((len(wrong), SIDE, SIDE), bool)
        loss = float(step(np.concatenate([films, wrong]), np.concatenate([lungs, none])))
        recent = 0.98 * recent + 0.02 * loss
        progress.set_postfix(loss=f"{recent:.4f}", refresh=False)


def _drawn_from(
    rng: np.random.Generator, chests: Sequence[Teachers], count: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    chosen = [chests[index] for index in rng.integers(len(chests), size=count)]
    places = [int(rng.integers(len(each.films))) for each in chosen]
    films, lungs = (
        np.stack([each[kind][place] for each, place in zip(chosen, places, strict=True)])
        for kind in (0, 1)
    )
    return films, lungs


def _cut(
    rng: np.random.Generator, film: NDArray[np.uint8], lungs: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """A part of a film with at most a quarter of its lungs, or with one of them alone."""
    for _ in range(50):
        side = int(rng.uniform(0.25, 0.7) * SIDE)
        left, top = rng.integers(0, SIDE - side, 2)
        window = (slice(top, top + side), slice(left, left + side))
        if lungs[window].sum() < 0.25 * lungs.sum():
            break
    else:
        window = (slice(None), slice(0, SIDE // 2 - 8))
    return np.asarray(Image.fromarray(film[window]).resize((SIDE, SIDE)))


def _folded(
    rng: np.random.Generator, film: NDArray[np.uint8], lungs: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Both lungs over one another in the middle, as a film from the side shows them."""
    columns = np.nonzero(lungs.any(axis=0))[0]
    middle = int(columns.mean()) if len(columns) else SIDE // 2
    middle = int(np.clip(middle, 0.35 * SIDE, 0.65 * SIDE))
    right, left = film[:, :middle], film[:, middle:][:, ::-1]
    wide = int(rng.uniform(0.55, 1.0) * SIDE)
    halves = [
        np.asarray(Image.fromarray(half).resize((wide, SIDE)), np.float32) for half in (right, left)
    ]
    share, shift = rng.choice([0.0, 0.5, 1.0, rng.uniform()]), int(rng.normal(0, 8))
    merged = share * halves[0] + (1 - share) * np.roll(halves[1], shift, axis=0)
    ground = rng.uniform(0, 40) if rng.random() < 0.7 else float(np.median(film))
    folded = np.full((SIDE, SIDE), ground, np.float32)
    start = int(rng.integers(0, SIDE - wide + 1))
    folded[:, start : start + wide] = merged
    if rng.random() < 0.5:
        folded = folded[:, ::-1]
    return folded.clip(0, 255).astype(np.uint8)
