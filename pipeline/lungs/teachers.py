"""Films with known lung fields: outlined by people, drawn, or found twice alike."""

import hashlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from components.image import contrast, prepare
from components.image.lung_network import Weights, lung_fields, lungs_found
from components.image.settings import ImageConfig
from pipeline.datasets.synthetic import film
from pipeline.datasets.synthetic.anatomy import random_anatomy
from pipeline.lungs.by_hand import lung_mask

SIDE = 160  # pixels of a teacher's film; training cuts SIDE of the network out of it
FORMS = tuple(ImageConfig(size=SIDE, contrast=method) for method in ("none", "harmonise"))
_HELD_BACK = 5  # one film of so many judges and never teaches
_ETIOLOGIES = ("normal", "bacteria", "virus")
_SURE = 0.93  # least Dice of two tries at a child's lungs
_SLIDE = 16  # of SIDE
_SLIDE_GAIN = 0.02  # least gain of Dice for which an outline is slid
_HULLS = 0.7  # least Dice with the hand-made hulls, which are wider than lungs


class Teachers(NamedTuple):
    """Films and what of them is lung: uint8[n,160,160] and bool[n,160,160]."""

    films: NDArray[np.uint8]
    lungs: NDArray[np.bool_]


def held_back(path: Path) -> bool:
    """Whether a film judges, by its name: the same ones on every machine."""
    return hashlib.sha256(path.name.encode()).digest()[0] % _HELD_BACK == 0


def outlined(folder: Path, judging: bool) -> Teachers:
    """Films outlined by people.

    Args:
        folder: holds NAME.jpg and NAME_lungs.png, 0 or 255, of the same size.
        judging: the held back ones, else all others.

    Returns:
        Each film in all FORMS, one form after another.

    Raises:
        FileNotFoundError: no outlined film is there.
    """
    paths = [path for path in sorted(folder.glob("*.jpg")) if held_back(path) == judging]
    if not paths:
        raise FileNotFoundError(f"{folder}: no NAME.jpg with NAME_lungs.png in it")
    lungs = [_small(Image.open(path.with_name(f"{path.stem}_lungs.png"))) for path in paths]
    return _in_all_forms((path.read_bytes() for path in paths), lungs)


def drawn(count: int, seed: int) -> Teachers:
    """Drawn films, healthy and sick, with their true lungs, in all FORMS.

    Args:
        count: of films; each comes once in each form.
        seed: of all of them.
    """
    encoded, lungs = [], []
    for index in tqdm(range(count), "drawing films", leave=False):
        rng = np.random.default_rng((seed, index))
        anatomy = random_anatomy(rng)
        opacities = film.random_opacities(rng, anatomy, _ETIOLOGIES[index % len(_ETIOLOGIES)])
        made = film.render(anatomy, opacities, rng)
        pixels = tf.constant((made.pixels >> 4).astype(np.uint8)[..., None])
        encoded.append(tf.io.encode_png(pixels).numpy())
        lungs.append(_small(Image.fromarray(made.lungs)))
    return _in_all_forms(encoded, lungs)


def slid(teachers: Teachers, weights: Weights) -> Teachers:
    """Slides outlines sideways to where the network sees the lungs.

    One outline in ten lies up to a tenth of the film's width beside its lungs: they were drawn on
    films that had been cut otherwise.

    Args:
        teachers: films and their outlines.
        weights: of the lung network.

    Returns:
        The same films; an outline stays where sliding gains little Dice.
    """
    places = range(-_SLIDE, _SLIDE + 1)
    found = masks(teachers.films, weights)
    lungs = []
    for mask, outline in zip(found, teachers.lungs, strict=True):
        scores = [dice(mask, np.roll(outline, place, axis=1)) for place in places]
        gains = max(scores) - dice(mask, outline) > _SLIDE_GAIN
        lungs.append(np.roll(outline, places[int(np.argmax(scores))] if gains else 0, axis=1))
    return Teachers(teachers.films, np.stack(lungs))


def masks(films: NDArray[np.uint8], weights: Weights) -> NDArray[np.float32]:
    """What a network finds on films.

    Args:
        films: uint8[N,160,160].
        weights: of the lung network.

    Returns:
        Lung fields, float32[N,160,160] in [0,1].
    """
    batches = tf.data.Dataset.from_tensor_slices(films).batch(32)
    found = batches.map(lambda part: lung_fields(tf.cast(part, tf.float32), weights))
    return np.concatenate(list(found.as_numpy_iterator()))


def agreed(paths: Iterable[Path], weights: Weights) -> Teachers:
    """Films on which the network agrees with itself and with the hand-made search.

    The network's two tries are the film as it is and the film mirrored with another gamma; the
    hand-made search must mark the same lungs, by hulls that are wider than they are.

    Args:
        paths: frontal chest films.
        weights: of a network that is trained already.

    Returns:
        The agreed films in all FORMS, with the mean of both tries as truth.

    Raises:
        ValueError: there are none.
    """

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    def tries(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        image = tf.cast(prepare.prepare(encoded, FORMS[0]), tf.float32)
        other = 255.0 * (image[:, ::-1] / 255.0) ** 0.7
        once, again = tf.unstack(lung_fields(tf.stack([image, other]), weights))
        return once, again[:, ::-1], lung_mask(contrast.harmonise(image))

    chosen, lungs = [], []
    for path in tqdm(list(paths), "asking twice", leave=False):
        encoded = path.read_bytes()
        once, again, by_hand = tries(encoded)
        mean = (once + again) / 2
        sure = dice(once, again) > _SURE and dice(mean, by_hand) > _HULLS
        if sure and bool(lungs_found(mean[None])[0]):
            chosen.append(encoded)
            lungs.append(mean.numpy() > 0.5)
    if not chosen:
        raise ValueError("the network is sure of no film: train its first round longer")
    return _in_all_forms(chosen, lungs)


def seen(paths: Iterable[Path], weights: Weights) -> Teachers:
    """Frontal films in all FORMS with what the network finds on them, sure or not.

    Args:
        paths: JPEG or PNG.
        weights: of the lung network.
    """
    nowhere = np.zeros((SIDE, SIDE), bool)
    encoded = [path.read_bytes() for path in paths]
    films = _in_all_forms(encoded, [nowhere] * len(encoded)).films
    return Teachers(films, masks(films, weights) > 0.5)


def without_lungs(pictures: NDArray[np.uint8]) -> Teachers:
    """Pictures that are no chest films, uint8[n,160,160], as they are and harmonised."""
    harmonise = tf.function(contrast.harmonise)
    again = [harmonise(tf.constant(each, tf.float32)).numpy().astype(np.uint8) for each in pictures]
    films = np.concatenate([pictures, np.stack(again)])
    return Teachers(films, np.zeros(films.shape, bool))


def dice(one: tf.Tensor, other: tf.Tensor) -> float:
    """Dice's coefficient of two masks, each cut at a half.

    Args:
        one: [H,W], bool or in [0,1].
        other: as `one`.

    Returns:
        In [0,1]; 0 where both are empty.
    """
    first, second = np.asarray(one) > 0.5, np.asarray(other) > 0.5
    return 2 * float((first & second).sum()) / max(1, int(first.sum() + second.sum()))


def _in_all_forms(encoded: Iterable[bytes], lungs: list[NDArray[np.bool_]]) -> Teachers:
    films = tf.data.Dataset.from_tensor_slices(list(encoded))
    prepared = [
        image
        for form in FORMS
        for image in films.map(
            partial(prepare.prepare, config=form), tf.data.AUTOTUNE
        ).as_numpy_iterator()
    ]
    return Teachers(np.stack(prepared), np.stack(lungs * len(FORMS)))


def _small(mask: Image.Image) -> NDArray[np.bool_]:
    soft = mask.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(soft) > 127
