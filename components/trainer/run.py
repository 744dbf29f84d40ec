"""Trainer's run_fn: cached features, epochs, operating point, SavedModel."""

import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from components import names
from components.image.settings import ImageConfig
from components.model import card, familiarity, imagenet, operating_point, signatures, warmup
from components.model.network import Network, build
from components.model.settings import ModelConfig, OperatingPointConfig
from components.statistics import area_under_roc, newcombe, wilson
from components.trainer import feature_cache, precision
from components.trainer.feature_cache import Features, averages
from components.trainer.fit import Epoch, Fit, fit, score_all, scorer
from components.trainer.frozen import INT8
from components.trainer.settings import TrainConfig

if TYPE_CHECKING:  # half a minute of imports on a slow disk, and TFX calls this, not we TFX
    from tfx.components.trainer.fn_args_utils import FnArgs

_TRANSFORM_GRAPH = "transform_fn"  # TFTransformOutput.TRANSFORM_FN_DIR


@dataclass(frozen=True)
class Settings:
    """What Trainer's custom_config says; `options` are a team's own, for its own network."""

    image: ImageConfig
    model: ModelConfig
    train: TrainConfig
    operating_point: OperatingPointConfig
    options: Mapping[str, Any]
    seed: int
    code_version: str

    @classmethod
    def of(cls, custom_config: Mapping[str, Any]) -> "Settings":
        """Reads the sections; pydantic refuses unknown fields and values out of range."""
        return cls(
            image=ImageConfig(**custom_config["image"]),
            model=ModelConfig(**custom_config["model"]),
            train=precision.resolve(TrainConfig(**custom_config["train"])),
            operating_point=OperatingPointConfig(**custom_config["operating_point"]),
            options=custom_config["options"],
            seed=custom_config["seed"],
            code_version=custom_config["code_version"],
        )

    def tuned(self, values: Mapping[str, Any]) -> "Settings":
        """With values that a Tuner found, by the fields' names in `model` and `train`."""
        of_model, of_train = (
            {name: value for name, value in values.items() if hasattr(section, name)}
            for section in (self.model, self.train)
        )
        return replace(
            self, model=replace(self.model, **of_model), train=replace(self.train, **of_train)
        )


# Builds the network, and names the weights that it starts from.
Builder = Callable[[Settings], tuple[Network, imagenet.ImagenetWeights]]


def run_fn(fn_args: "FnArgs") -> None:
    """Trains and exports a VGG-16; called by TFX's Trainer. Raises as `train` does."""
    train(fn_args, vgg16)


def vgg16(settings: Settings) -> tuple[Network, imagenet.ImagenetWeights]:
    """Builds the network of the configuration on the weights that it names."""
    start = imagenet.load(settings.model.weights, width=settings.model.width, seed=settings.seed)
    return build(settings.image.size, settings.model, start, settings.seed), start


def train(fn_args: "FnArgs", builder: Builder) -> None:
    """Trains and exports a network of anybody's.

    The SavedModel goes to `serving_model_dir`, with warm-up requests, model card and summary
    below `assets.extra`; TensorBoard logs to `model_run_dir`. Features and the state of
    the training go to custom_config's `cache_dir`, where an interrupted run finds them. What a
    Tuner found is taken in place of the configuration's values. Where TFX gives a `base_model`,
    its weights are what training starts from.

    Args:
        fn_args: TFX's.
        builder: builds the network.

    Raises:
        ValueError: a split is empty or lacks a class, the weights are not VGG-16's, or the base
            model is another network.
    """
    settings = Settings.of(fn_args.custom_config)
    if fn_args.hyperparameters:
        settings = settings.tuned(fn_args.hyperparameters["values"])
    with cache_of(fn_args) as cache:
        _run(fn_args, settings, builder, cache)


@contextmanager
def cache_of(fn_args: "FnArgs") -> Iterator[Path]:
    """Yields custom_config's `cache_dir`; where there is none, a folder that goes away."""
    if cache_dir := fn_args.custom_config["cache_dir"]:
        yield Path(cache_dir)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(scratch)


def _run(fn_args: "FnArgs", settings: Settings, builder: Builder, cache: Path) -> None:
    strategy = devices()
    with strategy.scope():
        network, start = builder(settings)
        if fn_args.base_model:
            start = _go_on_from(Path(fn_args.base_model), network, start)
    train, val, *looks = features_of(network, fn_args, settings, cache)
    checkpoint = cache / "training" / f"{_key(settings, network, train, val)}.npz"
    fitted = _fit(network, train, val, settings, checkpoint, fn_args.model_run_dir, strategy)
    score = scorer(network, network.evidence)
    seen = [(score_all(score, look).mean(axis=(1, 2)), look.labels) for look in looks]
    point = operating_point.choose(
        fitted.evidence,
        val.labels,
        settings.operating_point,
        score_all(scorer(network, network.attention), val),
        seen,
    )
    summary = _summary(settings, network, start, train, val, fitted, point)
    summary["validation"]["looks"] = _by_look(seen, point)
    transform = f"{fn_args.transform_output}/{_TRANSFORM_GRAPH}"
    # The last channel tells where the lungs are, not what a film looks like.
    usual = familiarity.fit(averages(train)[:, :-1], averages(val)[:, :-1])
    graph = tf.saved_model.load(transform)
    servable = signatures.ServedModel(network, point, usual, graph, settings.image)
    _export(fn_args.serving_model_dir, servable, summary)
    checkpoint.unlink(missing_ok=True)
    feature_cache.prune(cache / "features", settings.train.cache_gigabytes * 1e9)


def _go_on_from(
    version: Path, network: Network, start: imagenet.ImagenetWeights
) -> imagenet.ImagenetWeights:
    """Gives the network an earlier model's weights; says so beside where they came from."""
    fault = (
        f"{version}: its network is another one than model.* makes; train without --since, or "
        "with its settings"
    )
    network.take(tf.saved_model.load(str(version)).weights, fault)
    summary = json.loads((version / card.EXTRA / card.SUMMARY).read_text("utf-8"))
    before = f"trained on from model of {summary['trained_at']}"
    return replace(start, source=f"{start.source}, {before}")


def features_of(
    network: Network, fn_args: "FnArgs", settings: Settings, cache: Path
) -> list[Features]:
    """What the trunk makes of the training films, the validation films, and each of their looks.

    Args:
        network: its trunk is asked.
        fn_args: tells the files of transformed examples.
        settings: tells the precision of the training films' features.
        cache: folder that keeps them.

    Returns:
        Of train, of val, and of each look of val that there is.

    Raises:
        ValueError: a split is empty or lacks a class.
    """

    def features(split: str, files: list[str], arithmetic: str) -> Features:
        return feature_cache.compute(network.trunk, files, cache / "features", split, arithmetic)

    arithmetic = INT8 if settings.train.int8_features else settings.train.precision
    train = features(names.TRAIN, fn_args.train_files, arithmetic)
    # The threshold is chosen on val, so val is seen as the served model will see it.
    val, *looks = (
        features(split, [files], "float32")
        for split, files in zip((names.VAL, *names.VAL_LOOKS), fn_args.eval_files, strict=False)
    )
    _check_classes(train, val)
    return [train, val, *looks]


def devices() -> tf.distribute.Strategy:
    """All GPUs of this machine; TensorFlow's default device where there is one or none."""
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _check_classes(train: Features, val: Features) -> None:
    for name, split in ((names.TRAIN, train), (names.VAL, val)):
        for label, count in enumerate(np.bincount(split.labels, minlength=2)):
            if not count:
                raise ValueError(
                    f"the {name} split holds no {names.CLASSES[label]} film; add some, "
                    "or change data.val_fraction or the seed"
                )


def _key(settings: Settings, network: Network, train: Features, val: Features) -> str:
    """Names the checkpoint of this very training; it holds evidence in val's order.

    The folder of the features is named after the trunk, lung network and all.
    """
    in_order = hashlib.sha256(b"".join(val.hashes)).hexdigest()
    trunk = train.shards[0].parent.name
    start = hashlib.sha256(b"".join(w.tobytes() for w in network.top.get_weights())).hexdigest()
    parts = [asdict(settings), train.digest, in_order, start, trunk]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _fit(
    network: Network,
    train: Features,
    val: Features,
    settings: Settings,
    checkpoint: Path,
    log_dir: str,
    strategy: tf.distribute.Strategy,
) -> Fit:
    writer = tf.summary.create_file_writer(log_dir)

    def report(epoch: Epoch) -> None:
        figures = f"loss {epoch.loss:.4f}, val loss {epoch.val_loss:.4f}, AUC {epoch.val_auc:.4f}"
        tqdm.write(f"epoch {epoch.number}: {figures}", file=sys.stderr)
        with writer.as_default(step=epoch.number):
            _scalar("loss/train", epoch.loss)
            _scalar("loss/val", epoch.val_loss)
            _scalar("auc/val", epoch.val_auc)

    with closing(writer):
        return fit(
            network,
            train,
            val,
            settings.train,
            seed=settings.seed,
            checkpoint=checkpoint,
            report=report,
            strategy=strategy,
        )


def _scalar(tag: str, value: float) -> None:
    """A point of a TensorBoard curve; tf.summary.scalar would need TensorBoard itself."""
    metadata = tf.compat.v1.SummaryMetadata(
        plugin_data={"plugin_name": "scalars"}, data_class="DATA_CLASS_SCALAR"
    )
    tf.summary.write(tag, tf.constant(value), metadata=metadata)


def _summary(
    settings: Settings,
    network: Network,
    start: imagenet.ImagenetWeights,
    train: Features,
    val: Features,
    fitted: Fit,
    point: operating_point.OperatingPoint,
) -> dict[str, Any]:
    """What the report and the model card say of the training; plain values for JSON."""
    counts = {
        name: dict(zip(names.CLASSES, np.bincount(split.labels).tolist(), strict=True))
        for name, split in ((names.TRAIN, train), (names.VAL, val))
    }
    healthy, sick = counts[names.VAL].values()
    logits = (point.slope * fitted.evidence.mean(axis=(1, 2)) + point.intercept).astype(float)
    config = asdict(settings)
    return {
        "trained_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "code_version": config.pop("code_version"),
        "config": config,
        "network": {"kind": network.kind, "trained": network.trained},
        "weights": {"source": start.source, "sha256": start.sha256},
        **counts,
        "epochs": [asdict(epoch) for epoch in fitted.history],
        "best_epoch": fitted.best.number,
        "operating_point": asdict(point),
        "validation": {
            "logits": {  # `pneumonia recalibrate --unlabelled` compares a site's with them
                name: np.round(logits[val.labels == label], 3).tolist()
                for label, name in enumerate(names.CLASSES)
            },
            "auc": fitted.best.val_auc,
            "auc_interval": newcombe(fitted.best.val_auc, sick, healthy),
            "sensitivity": point.sensitivity,
            "sensitivity_interval": wilson(point.sensitivity * sick, sick),
            "specificity": point.specificity,
            "specificity_interval": wilson(point.specificity * healthy, healthy),
        },
        "seconds": {
            "features": train.seconds + val.seconds,
            "epochs": sum(epoch.seconds for epoch in fitted.history),
        },
    }


def _by_look(
    looks: list[operating_point.Look], point: operating_point.OperatingPoint
) -> dict[str, dict[str, float]]:
    """The figures on the validation films as other hospitals might send them."""
    found = {}
    for name, (logits, labels) in zip(names.VAL_LOOKS, looks, strict=False):
        called = point.probability(logits) >= np.float32(point.threshold)
        found[name] = {
            "auc": area_under_roc(logits, labels),
            "sensitivity": float(called[labels == 1].mean()),
            "specificity": float(1 - called[labels == 0].mean()),
        }
    return found


def _export(folder: str, servable: signatures.ServedModel, summary: Mapping[str, Any]) -> None:
    """Writes the version beside its place and moves it there when it is whole."""
    part = f"{folder.rstrip('/')}.part"
    for leftover in (part, folder):
        if tf.io.gfile.exists(leftover):
            tf.io.gfile.rmtree(leftover)
    signatures.export(servable, part)
    extra = f"{part}/{card.EXTRA}"
    tf.io.gfile.makedirs(extra)
    for name, content in card.documents(summary).items():
        with tf.io.gfile.GFile(f"{extra}/{name}", "wb") as file:
            file.write(content)
    warmup.write(f"{extra}/{warmup.FILE}")
    tf.io.gfile.rename(part, folder)
