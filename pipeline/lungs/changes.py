"""Random changes of films and their lungs, so that few outlined films teach for all others."""

import string

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from components.image.lung_network import SIDE

_LABELS = 96  # drawn once; each batch lays some of them anywhere
_TURN = np.radians(14)
_ZOOM = (0.75, 1.3)
_STRETCH = 1.25
_SHEAR = 0.1
_SHIFT = 0.1
_GAMMA = 1.9


def labels(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Letters, lines of text, arrows, cables and bars as they lie on films, uint8[n,128,128]."""
    return np.stack([_label(rng) for _ in range(_LABELS)])


def change(films: tf.Tensor, lungs: tf.Tensor, marks: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Turned, stretched, cut, exposed otherwise; with opacities, labels, borders, blur and noise.

    Args:
        films: float32[N,T,T] in 0..255.
        lungs: float32[N,T,T], 0 or 1.
        marks: float32[n,128,128] in 0..255, of `labels`.

    Returns:
        Films float32[N,128,128] in 0..255 and their lungs, 0 or 1.
    """
    count = tf.shape(films)[0]
    moved = _moved(tf.stack([films, lungs], axis=-1))
    films, lungs = moved[..., 0], tf.round(moved[..., 1])
    films = _exposed(_with_opacities(films, lungs))
    films = tf.maximum(films, _some(tf.gather(marks, _indices(count, _LABELS)), 0.5))
    seen = _frame(count)
    films, lungs = films * seen, lungs * seen
    return _noisy(_blurred(films)), lungs


def _uniform(count: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """float32[N,1,1]: a number for each film."""
    return tf.random.uniform([count, 1, 1], low, high)


def _some(values: tf.Tensor, share: float) -> tf.Tensor:
    """The values of a share of the films, 0 for the others."""
    return values * tf.cast(_uniform(tf.shape(values)[0], 0, 1) < share, tf.float32)


def _indices(count: tf.Tensor, most: int) -> tf.Tensor:
    return tf.random.uniform([count], 0, most, tf.int32)


def _moved(planes: tf.Tensor) -> tf.Tensor:
    """An affine change of each film; what comes from outside is black."""
    count, side = tf.shape(planes)[0], planes.shape[1]

    def between(low: float, high: float) -> tf.Tensor:
        return tf.random.uniform([count], low, high)

    turn, shear = between(-_TURN, _TURN), between(-_SHEAR, _SHEAR)
    zoom = tf.exp(between(np.log(_ZOOM[0]), np.log(_ZOOM[1])))
    stretch = tf.exp(between(-0.5 * np.log(_STRETCH), 0.5 * np.log(_STRETCH)))
    mirror = tf.where(between(0, 1) < 0.3, -1.0, 1.0)
    across, down = mirror * stretch / zoom, 1 / (stretch * zoom)
    # From a place of the result, counted from its centre, to a place of the film.
    a, b = across * tf.cos(turn), across * (shear - tf.sin(turn))
    d, e = down * tf.sin(turn), down * tf.cos(turn)
    scale, half = side / SIDE, (side - 1) / 2
    to = [scale * value for value in (a, b, d, e)]
    away_x, away_y = (half + side * between(-_SHIFT, _SHIFT) for _ in range(2))
    centre = (SIDE - 1) / 2
    c = away_x - centre * (to[0] + to[1])
    f = away_y - centre * (to[2] + to[3])
    zeros = tf.zeros([count])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=planes,
        transforms=tf.stack([to[0], to[1], c, to[2], to[3], f, zeros, zeros], axis=1),
        output_shape=[SIDE, SIDE],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )


def _field(count: tf.Tensor, cells: int) -> tf.Tensor:
    """Smooth noise, float32[N,128,128], of mean 0 and deviation about 0.7."""
    return tf.image.resize(tf.random.normal([count, cells, cells, 1]), [SIDE, SIDE], "bicubic")[
        ..., 0
    ]


def _with_opacities(films: tf.Tensor, lungs: tf.Tensor) -> tf.Tensor:
    """Whitens parts of lungs, at times a whole one or both, to the grey of what surrounds them."""
    count = tf.shape(films)[0]
    outside = 1 - lungs
    bright = tf.cast(films > 40, tf.float32) * outside + 1e-3
    tissue = tf.reduce_sum(films * bright, [1, 2], keepdims=True)
    tissue /= tf.reduce_sum(bright, [1, 2], keepdims=True)
    tissue *= _uniform(count, 0.85, 1.3)
    ragged = _field(count, 4) + 0.5 * _field(count, 9) + 0.2 * _field(count, 24)
    patches = tf.sigmoid((ragged - _uniform(count, -0.6, 1.4)) * _uniform(count, 3, 10))
    places = (tf.range(SIDE, dtype=tf.float32) + 0.5) / SIDE
    middle = tf.math.divide_no_nan(
        tf.reduce_sum(lungs * places, [1, 2], keepdims=True),
        tf.reduce_sum(lungs, [1, 2], keepdims=True),
    )
    side = tf.sign(_uniform(count, -1, 1))
    half = tf.sigmoid((places - middle) * side * 40) * tf.ones_like(films)
    low = tf.sigmoid((places[:, None] - _uniform(count, 0.3, 0.7)) * 30) * tf.ones_like(films)
    kind = _uniform(count, 0, 1)
    where = tf.where(kind < 0.45, patches, tf.where(kind < 0.7, half, half * low))
    where = tf.where(kind > 0.93, tf.ones_like(where), where)
    share = _some(_uniform(count, 0.3, 1.0), 0.6)
    soft = tf.nn.avg_pool2d(lungs[..., None], 5, 1, "SAME")[..., 0]
    grain = 1 + 0.06 * _field(count, 30)
    return films + share * where * soft * tf.nn.relu(tissue * grain - films)


def _exposed(films: tf.Tensor) -> tf.Tensor:
    count = tf.shape(films)[0]
    power = tf.exp(_uniform(count, -np.log(_GAMMA), np.log(_GAMMA)))
    films = 255 * tf.clip_by_value(films / 255, 0, 1) ** power
    films *= 1 + 0.15 * _field(count, 3)
    mean = tf.reduce_mean(films, [1, 2], keepdims=True)
    films = mean + (films - mean) * _uniform(count, 0.5, 1.6) + _uniform(count, -30, 30)
    return tf.clip_by_value(films, 0, 255)


def _frame(count: tf.Tensor) -> tf.Tensor:
    """0 on the edge of some films, as collimation leaves it, 1 inside."""
    places = (tf.range(SIDE, dtype=tf.float32) + 0.5) / SIDE

    def inside(distance: tf.Tensor) -> tf.Tensor:
        return tf.cast(distance > _some(_uniform(count, 0, 0.12), 0.2), tf.float32)

    along = inside(places[None, None, :]) * inside(1 - places[None, None, :])
    return along * inside(places[None, :, None]) * inside(1 - places[None, :, None])


def _blurred(films: tf.Tensor) -> tf.Tensor:
    """Some films through a half or a quarter of their pixels."""
    films = films[..., None]
    for side, share in ((SIDE // 2, 0.3), (SIDE // 3, 0.15)):
        blurred = tf.image.resize(tf.image.resize(films, [side, side], antialias=True), [SIDE] * 2)
        films += _some(tf.ones([tf.shape(films)[0], 1, 1]), share)[..., None] * (blurred - films)
    return films[..., 0]


def _noisy(films: tf.Tensor) -> tf.Tensor:
    strength = _some(_uniform(tf.shape(films)[0], 0, 20), 0.5)
    return tf.clip_by_value(films + strength * tf.random.normal(tf.shape(films)), 0, 255)


def _label(rng: np.random.Generator) -> NDArray[np.uint8]:
    """One film's writing: nowhere in particular, over lungs as well."""
    sheet = Image.new("L", (SIDE, SIDE))
    pen = ImageDraw.Draw(sheet)
    grey = int(rng.integers(120, 256))
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.uniform(0, SIDE, 2)
        match rng.integers(4):
            case 0:
                letter = "RL"[rng.integers(2)] if rng.random() < 0.7 else _word(rng, 2)
                pen.text((x, y), letter, grey, ImageFont.load_default(int(rng.integers(8, 32))))
            case 1:
                pen.text((x - 20, y), _word(rng, 12), grey, ImageFont.load_default(8))
            case 2:
                points = np.array([x, y]) + np.cumsum(rng.normal(0, 12, (8, 2)), axis=0)
                pen.line([tuple(point) for point in points], grey, int(rng.integers(1, 3)), "curve")
            case 3:
                wide, tall = rng.uniform(1, 30, 2)
                pen.rectangle((x, y, x + wide, y + tall), int(rng.integers(60, 256)))
    return np.asarray(sheet.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1))))


def _word(rng: np.random.Generator, length: int) -> str:
    return "".join(rng.choice(list(string.ascii_uppercase + string.digits + " "), length))
