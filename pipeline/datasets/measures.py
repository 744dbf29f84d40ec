"""Measures films by what says nothing of the lungs, and how well that tells two classes apart."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from components.statistics import area_under_roc

_SIDE = 224  # the shorter one while measuring; smaller films stay as they are
_BLACK = 10  # of 255
_FOLDS = 5
_DIFFERS = 0.1  # of an AUC from 0.5
_SHORTCUT = 0.25

PROPERTIES = {  # name and unit
    "width": ("width", "pixels"),
    "height": ("height", "pixels"),
    "aspect": ("aspect", "width / height"),
    "bytes_per_pixel": ("file size", "bytes per pixel"),
    "colour": ("colour", "1 where stored in colour"),
    "brightness": ("brightness", "mean, 0 to 255"),
    "contrast": ("contrast", "standard deviation, 0 to 255"),
    "black": ("black area", "share of the film"),
    "sharpness": ("sharpness", "Laplacian / contrast"),
}


@dataclass(frozen=True)
class ClassComparison:
    """How one property differs between the classes.

    Attributes:
        medians: of NORMAL and PNEUMONIA.
        auc: the chance that a random film of PNEUMONIA has the higher value (Mann and Whitney);
            ties count half.
        cohen_d: difference of the means in pooled standard deviations; nan where neither class
            varies.
        verdict: what `auc` means, in words.
    """

    medians: tuple[float, float]
    auc: float
    cohen_d: float
    verdict: str


def measure(image: Image.Image, size: tuple[int, int], file_size: int) -> tuple[float, ...]:
    """Measures a film.

    Sharpness is the Laplacian's standard deviation over the film's, at a shorter side of 224
    pixels, so that it grows neither with the film's size nor with its contrast.

    Args:
        image: the film.
        size: width and height of the film upright, in pixels.
        file_size: in bytes.

    Returns:
        Values in the order of PROPERTIES, in the units given there.

    Raises:
        OSError: the image cannot be decoded.
    """
    width, height = size
    colour = image.mode != "L"
    grey = _grey(image)
    wide = grey.astype(np.float32)
    spread = float(wide.std())
    laplacian = (
        4 * wide[1:-1, 1:-1] - wide[:-2, 1:-1] - wide[2:, 1:-1] - wide[1:-1, :-2] - wide[1:-1, 2:]
    )
    return (
        float(width),
        float(height),
        width / height,
        file_size / (width * height),
        float(colour),
        float(wide.mean()),
        spread,
        float((grey < _BLACK).mean()),
        float(laplacian.std()) / spread if spread and laplacian.size else 0.0,
    )


def compare(values: NDArray[np.floating], sick: NDArray[np.bool_]) -> ClassComparison:
    """Compares one property between the classes.

    Args:
        values: float[N], the property of each film.
        sick: bool[N], True for PNEUMONIA.

    Returns:
        The comparison; its figures are nan where a class has no film.
    """
    normal, ill = values[~sick], values[sick]
    if min(len(normal), len(ill)) == 0:
        return ClassComparison((math.nan, math.nan), math.nan, math.nan, "only one class")
    area = area_under_roc(values, sick)
    pooled = math.sqrt((normal.var() + ill.var()) / 2)
    cohen_d = float(ill.mean() - normal.mean()) / pooled if pooled else math.nan
    medians = (float(np.median(normal)), float(np.median(ill)))
    return ClassComparison(medians, area, cohen_d, verdict(area, len(normal), len(ill)))


def verdict(area: float, normal: int, ill: int) -> str:
    """Says in a word what an AUC means.

    A distance from 0.5 under three standard errors of equal classes' AUC counts as none.

    Args:
        area: the AUC in [0,1], or nan.
        normal: the number of films of NORMAL.
        ill: the number of films of PNEUMONIA.

    Returns:
        `shortcut` from 0.75 on (or down from 0.25), `differs` from 0.6 (0.4), else `alike`;
        `too few` where so few films tell nothing.

    >>> verdict(0.8, normal=200, ill=200)
    'shortcut'
    """
    if math.isnan(area):
        return "too few"
    distance = abs(area - 0.5)
    noise = 3 * math.sqrt((normal + ill + 1) / (12 * normal * ill))
    if noise > _SHORTCUT:
        return "too few"
    if distance < max(_DIFFERS, noise):
        return "alike"
    return "shortcut" if distance >= _SHORTCUT else "differs"


def joint_auc(values: NDArray[np.floating], sick: NDArray[np.bool_], seed: int = 0) -> float:
    """Computes how well a linear discriminant tells the classes apart by all properties together.

    Args:
        values: float[N,P], a row for each film.
        sick: bool[N].
        seed: of the division into 5 folds, by which it is cross-validated.

    Returns:
        An AUC in [0,1]; nan with fewer than 20 films in a class.
    """
    if min(sick.sum(), (~sick).sum()) < 4 * _FOLDS:
        return math.nan
    discriminant = make_pipeline(
        StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-3)
    )
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_predict(discriminant, values, sick, cv=folds, method="decision_function")
    return area_under_roc(scores, sick)


def _grey(image: Image.Image) -> NDArray[np.uint8]:
    image.draft("L", (2 * _SIDE, 2 * _SIDE))  # a JPEG decodes at a fraction of its size
    grey = image.convert("L")
    scale = _SIDE / min(grey.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in grey.size)
        grey = grey.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(grey)
