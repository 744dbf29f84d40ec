"""One row of the ablation: the product's own preparation, features, epochs and operating point."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.ablation.films import SEED, Film
from components import names
from components.augmenter import parts
from components.augmenter.plan import is_drawn, make_plan, number_repeats
from components.augmenter.shards import Augmentation
from components.image.augment import image_seed
from components.image.prepare import prepare as prepare_image
from components.image.settings import ImageConfig
from components.model import imagenet, operating_point
from components.model import network as model
from components.statistics import area_under_roc
from components.trainer import feature_cache, precision
from components.trainer import fit as fitting
from pipeline.config import Config

_SPECIFICITY = 0.9


@dataclass(frozen=True)
class Score:
    """What a model reaches on one set of films.

    auc; sensitivity where 90 % of the normal films are spared; sensitivity and specificity at the
    threshold chosen on `tune`; ece: expected calibration error in ten bins of equal count.
    """

    auc: float
    sensitivity_at_90: float
    sensitivity: float
    specificity: float
    ece: float


def run(
    config: Config,
    train: list[Film],
    tune: list[Film],
    judges: Mapping[str, list[Film]],
    cache: Path,
    seed: int = SEED,
) -> dict[str, Score]:
    """Trains as configured and scores the model on each set of films.

    Features and the state of the training are kept in `cache`: an interrupted row goes on, and
    rows that prepare the films alike share their features.
    """
    fitted = precision.resolve(config.train)
    start = imagenet.load(config.model.weights, width=config.model.width, seed=seed)
    network = model.build(config.image.size, config.model, start, seed)
    prepare = _preparer(config.image)

    def cached(name: str, films: Iterable[tuple[bytes, int]]) -> feature_cache.Features:
        with tempfile.TemporaryDirectory() as scratch:
            path = f"{scratch}/{name}.gz"
            with tf.io.TFRecordWriter(path, "GZIP") as file:
                for image_png, label in films:
                    file.write(_example(image_png, label))
            return feature_cache.compute(
                network.trunk, [path], cache / "features", name, fitted.precision
            )

    augmentation = Augmentation(config.augment, config.image, seed)
    training = cached("train", _augmented(prepare(train), augmentation))
    tuning = cached("tune", prepare(tune))
    key = hashlib.sha256(
        json.dumps([str(config), seed, training.digest, tuning.digest]).encode()
    ).hexdigest()[:16]
    fit = fitting.fit(
        network,
        training,
        tuning,
        fitted,
        seed=seed,
        checkpoint=cache / "training" / f"{key}.npz",
        report=lambda epoch: print(epoch, flush=True),
        strategy=tf.distribute.get_strategy(),
    )
    point = operating_point.choose(fit.evidence, tuning.labels, config.operating_point)
    score = fitting.scorer(network, network.evidence)
    scores = {}
    for name, films in judges.items():
        judged = cached(name, prepare(films))
        logits = fitting.score_all(score, judged).mean(axis=(1, 2))
        scores[name] = measure(point.probability(logits), judged.labels, point.threshold)
    return scores


def measure(probability: np.ndarray, labels: np.ndarray, threshold: float) -> Score:
    """Scores float32[N] probabilities of int64[N] labels."""
    normal, sick = probability[labels == 0], probability[labels == 1]
    cut = np.quantile(normal, _SPECIFICITY, method="higher")
    bins = np.array_split(np.argsort(probability), 10)
    gaps = [abs(probability[rows].mean() - labels[rows].mean()) * len(rows) for rows in bins]
    return Score(
        auc=area_under_roc(probability, labels),
        sensitivity_at_90=float((sick > cut).mean()),
        sensitivity=float((sick >= np.float32(threshold)).mean()),
        specificity=float((normal < np.float32(threshold)).mean()),
        ece=float(sum(gaps) / len(labels)),
    )


def _preparer(config: ImageConfig) -> Callable[[list[Film]], list[tuple[bytes, int]]]:
    def prepared(image_bytes: tf.Tensor) -> tf.Tensor:
        return tf.io.encode_png(prepare_image(image_bytes, config)[..., None])

    def prepare(films: list[Film]) -> list[tuple[bytes, int]]:
        pngs = (
            tf.data.Dataset.from_tensor_slices([film.image_bytes for film in films])
            .map(prepared, num_parallel_calls=2)
            .as_numpy_iterator()
        )
        return [(png, film.label) for png, film in zip(pngs, films, strict=True)]

    return prepare


def _augmented(
    images: list[tuple[bytes, int]], augmentation: Augmentation
) -> Iterable[tuple[bytes, int]]:
    """The training films as Augmenter gives them to Trainer."""
    identity = [f"{hashlib.sha256(png).hexdigest()}-{label}" for png, label in images]
    config, seed = augmentation.config, augmentation.seed
    plan = make_plan(
        [(label, i) for (_, label), i in zip(images, identity, strict=True)], config.balance
    )
    ordered = sorted(zip(identity, images, strict=True))
    first = [png for _, (png, _) in ordered][: parts.DONORS]
    change = augmentation.changer(augmentation.kind, first)
    for key, (_, (png, label)) in zip(number_repeats(identity), ordered, strict=True):
        for copy in range(config.versions * (plan.copies_of(label, key) + 1)):
            if copy or is_drawn(seed, key, config.originals):
                image = change([png], [image_seed(seed, key, copy)])[0]
                yield tf.io.encode_png(image[..., None]).numpy(), label
            else:
                yield png, label


def _example(image_png: bytes, label: int) -> bytes:
    values = tf.train.Features(
        feature={
            names.IMAGE_PNG: tf.train.Feature(bytes_list=tf.train.BytesList(value=[image_png])),
            names.LABEL: tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        }
    )
    return tf.train.Example(features=values).SerializeToString()
