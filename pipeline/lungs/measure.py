"""Prints the figures of docs/lungs.md: `python -m pipeline.lungs.measure --xrays DIR`."""

import argparse
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.image import prepare as imaging
from components.image.frontal import frontal
from components.image.lung_network import lung_fields, lungs_found, trained_weights
from components.image.settings import ImageConfig
from pipeline.lungs import others, teachers

_FORMS = {
    "plain": ImageConfig(),
    "harmonised": ImageConfig(crop_border=0.05, contrast="harmonise"),
}
_CHILDREN = 600  # of each class, at most
_BATCH = 32
_TIMED = 30  # answers


def main() -> None:
    """Prints Dice, shares of films with two lungs, shares of films that are frontal, and times."""
    parser = argparse.ArgumentParser("python -m pipeline.lungs.measure", description=__doc__)
    parser.add_argument("--xrays", type=Path, required=True, help="as its README describes it")
    xrays = parser.parse_args().xrays
    dice_with_outlines(xrays / "lungs", trained_weights())
    for name, form in _FORMS.items():
        prepared = {kind: prepare(paths, form) for kind, paths in films(xrays).items()}
        for kind, each in prepared.items():
            found, judged = examine(each)
            print(
                f"{name} {kind}: {len(each)} films, two lungs on {found.mean():.3f}, "
                f"no frontal chest film {(judged < 0.5).mean():.3f}"
            )
        some = np.concatenate([each[:100] for each in prepared.values()])
        for how, each in spoilt(some).items():
            _, judged = examine(each)
            print(f"{name} {how}: {len(each)}, no frontal chest film {(judged < 0.5).mean():.3f}")
    for count in (1, 16):
        print(f"{count} at a time: {1000 * seconds(count):.1f} ms a film")


def dice_with_outlines(folder: Path, weights: dict) -> None:
    """Prints Dice on the held back films, with outlines as they are and slid into place.

    Args:
        folder: holds outlined films, as `teachers.outlined` reads them.
        weights: of the lung network.
    """
    held = teachers.outlined(folder, judging=True)
    for name, each in (("as they are", held), ("slid", teachers.slid(held, weights))):
        pairs = zip(teachers.masks(each.films, weights), each.lungs, strict=True)
        scores = [teachers.dice(*pair) for pair in pairs]
        print(
            f"Dice with {len(scores) // len(teachers.FORMS)} held back outlines {name}, both forms:"
            f" mean {np.mean(scores):.3f}, median {np.median(scores):.3f}, lowest {min(scores):.3f}"
        )


def films(xrays: Path) -> dict[str, list[Path]]:
    """The films that judge, by kind; of the children's those that taught nothing."""
    kinds = {}
    for kind, folder in (("sick children", "PNEUMONIA"), ("healthy children", "NORMAL")):
        held = filter(teachers.held_back, sorted((xrays / "kermany224/train" / folder).iterdir()))
        kinds[kind] = [*(xrays / "kermany224/val" / folder).iterdir(), *held][:_CHILDREN]
    for kind in ("external", "hannover", "cases"):
        kinds[kind] = sorted((xrays / kind).rglob("*.jpg"))
    return kinds


def spoilt(chests: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """What is no frontal chest film: these spoilt, and pictures drawn by an unused seed."""
    rng = np.random.default_rng(777)
    return {
        "upside down": chests[:, ::-1],
        "turned by 180 degrees": chests[:, ::-1, ::-1],
        "turned by 90 degrees": np.rot90(chests, 1, (1, 2)),
        "inverted": 255 - chests,
        "drawn others": np.stack([others.other(rng) for _ in range(300)]),
    }


def prepare(paths: Iterable[Path], form: ImageConfig) -> NDArray[np.uint8]:
    """Films as the classifier gets them.

    Args:
        paths: JPEG or PNG.
        form: how they are prepared; its size is 224.

    Returns:
        uint8[N,224,224].
    """
    names = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
    images = names.map(tf.io.read_file).map(partial(imaging.prepare, config=form), 2)
    return np.stack(list(images.as_numpy_iterator()))


def examine(images: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Whether two lungs are found, and how frontal each is."""
    batches = tf.data.Dataset.from_tensor_slices(np.ascontiguousarray(images)).batch(_BATCH)

    def ask(part: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        part = tf.cast(part, tf.float32)
        masks = lung_fields(part)
        return lungs_found(masks), frontal(part, masks)

    found, judged = zip(*batches.map(ask).as_numpy_iterator(), strict=True)
    return np.concatenate(found), np.concatenate(judged)


def seconds(count: int) -> float:
    """Median time a film of `lung_fields` on batches of so many, at 224 pixels."""
    images = tf.random.uniform([count, 224, 224], 0, 255)
    ask = tf.function(lung_fields)
    times = []
    for _ in range(_TIMED):
        start = time.perf_counter()
        ask(images).numpy()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) / count


if __name__ == "__main__":
    main()
