"""The epochs: trains the top on cached features, keeps the best weights, goes on after a kill.

The loop is our own because a resumed training must end with the very weights of an uninterrupted
one: Keras's EarlyStopping forgets its best epoch where BackupAndRestore resumes.
"""

import json
import logging
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from components.files import remove_parts, replacing
from components.model.network import Network
from components.progress import bar
from components.statistics import area_under_roc
from components.trainer.feature_cache import Features
from components.trainer.precision import arithmetic
from components.trainer.settings import TrainConfig

_SCORING_BATCH = 64
_WARMUP = 0.1  # of all steps: Adam's first, at full size, can switch off block 5's ReLUs for good

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Epoch:
    """One epoch's figures; losses are cross-entropies in nats, the validation's unweighted."""

    number: int
    loss: float
    val_loss: float
    val_auc: float
    seconds: float

    @property
    def merit(self) -> tuple[float, float]:
        """What the best epoch is chosen by: AUC, and between equal ones the lower loss."""
        return self.val_auc, -self.val_loss


@dataclass
class Fit:
    """The state of a training, complete after each epoch.

    Attributes:
        history: the epochs so far.
        weights: the top's, after the best epoch.
        evidence: float32[N,h,w] of the validation split, after the best epoch.
    """

    history: list[Epoch] = field(default_factory=list)
    weights: list[np.ndarray] = field(default_factory=list)
    evidence: np.ndarray = field(default_factory=lambda: np.empty((0, 0, 0), np.float32))

    @property
    def best(self) -> Epoch:
        """The first epoch of the highest merit."""
        return max(self.history, key=lambda epoch: epoch.merit)

    def finished(self, config: TrainConfig) -> bool:
        """Whether all epochs are done or the last `patience` were no better."""
        if not self.history:
            return False
        waited = len(self.history) - self.best.number
        return len(self.history) >= config.epochs or waited >= config.patience


def fit(
    network: Network,
    train: Features,
    val: Features,
    config: TrainConfig,
    *,
    seed: int,
    checkpoint: Path,
    report: Callable[[Epoch], None],
    strategy: tf.distribute.Strategy,
) -> Fit:
    """Trains the network's top and leaves it with the best epoch's weights.

    Adam with a linear warm-up, then a cosine decay to zero. After each epoch everything that the
    next one depends on is written to `checkpoint`; a run that finds one goes on there and ends with
    the very weights that an uninterrupted run gets.

    Args:
        network: built within the strategy's scope.
        train, val: cached trunk outputs.
        config: epochs, batch size, learning rate and so on; its precision is that of the training
            steps, and not `auto`. The validation split is scored in float32.
        seed: of the order of the films.
        checkpoint: file of this training's own.
        report: called for each epoch, those of an interrupted run first.
        strategy: one device, or several of one machine.
    """
    steps = -(-len(train) // config.batch_size)
    with strategy.scope():
        schedule = _schedule(config.learning_rate, steps * config.epochs)
        optimizer = keras.optimizers.Adam(schedule)
        optimizer.build(network.top.trainable_variables)
    remove_parts(checkpoint.parent)
    state = _restore(checkpoint, network.top, optimizer)
    step = _training_step(
        network.top, optimizer, class_weights(train.labels, config), config, strategy
    )
    score = scorer(network, network.evidence)
    for epoch in state.history:
        report(epoch)
    while not state.finished(config):
        number = len(state.history) + 1
        began = time.monotonic()
        batches = train.shuffled(config.batch_size, seed, number)
        loss = 0.0
        title = f"epoch {number} of {config.epochs}"
        with bar(title, len(train)) as progress, arithmetic(config.precision):
            for batch in strategy.experimental_distribute_dataset(_dataset(batches, train.shape)):
                loss += float(step(*batch)) * config.batch_size
                progress.update(min(config.batch_size, len(train) - progress.n))
        evidence = score_all(score, val)
        epoch = Epoch(
            number=number,
            loss=loss / len(train),
            val_loss=_cross_entropy(evidence.mean(axis=(1, 2)), val.labels),
            val_auc=area_under_roc(evidence.mean(axis=(1, 2)), val.labels),
            seconds=time.monotonic() - began,
        )
        state.history.append(epoch)
        if state.best is epoch:
            state.weights, state.evidence = network.top.get_weights(), evidence
        _save(checkpoint, state, network.top, optimizer)
        report(epoch)
    network.top.set_weights(state.weights)
    return state


def _schedule(rate: float, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    warm = round(_WARMUP * steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm, warmup_target=rate, warmup_steps=warm
    )


def scorer(
    network: Network, by_place: Callable[[tf.Tensor], tf.Tensor]
) -> tf.types.experimental.GenericFunction:
    """Compiles the top of a network for trunk outputs of any number.

    Args:
        network: tells the outputs' shape.
        by_place: its `evidence` or `attention`.

    Returns:
        A function of trunk outputs, float16[N,h,w,C+1], that gives float32[N,14,14].
    """
    shape = network.top.input_shape

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float16)], autograph=False)
    def score(features: tf.Tensor) -> tf.Tensor:
        return by_place(tf.cast(features, tf.float32))

    return score


def score_all(score: tf.types.experimental.GenericFunction, split: Features) -> np.ndarray:
    """A scorer's output for a whole split, in the examples' order.

    Args:
        score: of `scorer`.
        split: trunk outputs.

    Returns:
        float32[N,14,14].
    """
    return np.concatenate([score(rows).numpy() for rows, _ in split.batches(_SCORING_BATCH)])


def _training_step(
    top: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    weight_of_class: np.ndarray,
    config: TrainConfig,
    strategy: tf.distribute.Strategy,
) -> tf.types.experimental.GenericFunction:
    variables = [variable.value for variable in top.trainable_variables]

    def on_device(features: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        smoothing = config.label_smoothing
        targets = tf.cast(labels, tf.float32) * (1 - smoothing) + smoothing / 2
        with tf.GradientTape() as tape:
            logits = top(tf.cast(features, tf.float32), training=True)[:, 0]
            losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
            # Divided by the whole batch: the optimizer adds up what several devices find.
            loss = tf.reduce_sum(losses * tf.gather(weight_of_class, labels)) / config.batch_size
        optimizer.apply(tape.gradient(loss, variables), top.trainable_variables)
        return loss

    @tf.function(reduce_retracing=True, autograph=False)
    def step(features: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        losses = strategy.run(on_device, args=(features, labels))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    return step


def class_weights(labels: np.ndarray, config: TrainConfig) -> np.ndarray:
    """What makes both classes weigh the same.

    Args:
        labels: int64[N], 0 or 1.
        config: tells whether classes are weighted.

    Returns:
        float32[2]; ones where weights are switched off or a class is missing.
    """
    counts = np.bincount(labels, minlength=2)
    if not config.class_weights or not counts.all():
        return np.ones(2, np.float32)
    return (counts.sum() / (2 * counts)).astype(np.float32)


def _dataset(
    batches: Iterator[tuple[np.ndarray, np.ndarray]], shape: tuple[int, ...]
) -> tf.data.Dataset:
    signature = (
        tf.TensorSpec([None, *shape], tf.float16),
        tf.TensorSpec([None], tf.int64),
    )
    return tf.data.Dataset.from_generator(lambda: batches, output_signature=signature).prefetch(2)


def _cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(np.logaddexp(0, logits) - labels * logits))


def _save(path: Path, state: Fit, top: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    arrays = {"evidence": state.evidence}
    for group, values in (
        ("top", [variable.numpy() for variable in top.variables]),
        ("optimizer", [variable.numpy() for variable in optimizer.variables]),
        ("best", state.weights),
    ):
        arrays |= {f"{group}/{i}": value for i, value in enumerate(values)}
    arrays["history"] = np.array(json.dumps([asdict(epoch) for epoch in state.history]))
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def _restore(path: Path, top: keras.Model, optimizer: keras.optimizers.Optimizer) -> Fit:
    if not path.exists():
        return Fit()
    try:
        with np.load(path) as file:
            stored = dict(file)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        _log.warning("%s is damaged (%s); training from the first epoch", path, error)
        return Fit()
    for group, variables in (("top", top.variables), ("optimizer", optimizer.variables)):
        for i, variable in enumerate(variables):
            variable.assign(stored[f"{group}/{i}"])
    return Fit(
        history=[Epoch(**epoch) for epoch in json.loads(str(stored["history"]))],
        weights=[stored[f"best/{i}"] for i in range(len(top.weights))],
        evidence=stored["evidence"],
    )
