"""How a film was made, in numbers, and how much that looks like one class or the other.

Frequencies, grey levels and borders say nothing of where in the lungs something is; still they tell
the public set's classes apart (AUC 0.96), because its normal films were processed otherwise. A few
normal films were not, nor a few sick ones: they tell what a model looks at.
"""

import io
import itertools

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

_SIDE = 224
_BORDER = 12  # pixels
_WIDTHS = (1, 2, 4, 8, 16, 32)
_SHARES = (1, 5, 25, 50, 75, 95, 99)
_BLACK = 8

UNLIKE = 0.25  # of a class is called so where films of every look are trained on


def describe(image_bytes: bytes) -> NDArray[np.float64]:
    """float64[19]: energies of frequency bands (log), percentiles, black, the borders' means."""
    film = Image.open(io.BytesIO(image_bytes)).convert("L").resize((_SIDE, _SIDE))
    whole = np.asarray(film, np.float64)
    inner = whole[_BORDER:-_BORDER, _BORDER:-_BORDER]
    blurred = [inner, *(gaussian_filter(inner, width) for width in _WIDTHS)]
    bands = [finer - coarser for finer, coarser in itertools.pairwise(blurred)]
    edges = (whole[:, :_BORDER], whole[:, -_BORDER:], whole[:_BORDER], whole[-_BORDER:])
    return np.array(
        [
            *(np.log(band.std() + 0.1) for band in (*bands, blurred[-1])),
            *np.percentile(inner, _SHARES),
            (whole < _BLACK).mean(),
            *(edge.mean() for edge in edges),
        ]
    )


def unlikeness(
    described: NDArray[np.float64], labels: NDArray[np.int64], patients: list[str]
) -> NDArray[np.float64]:
    """float64[N] in [0,1): how much a film looks like the other class, as its place in its own.

    By a logistic regression with balanced classes, fitted on other patients' films (5 folds).
    """
    model = make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=3000, class_weight="balanced")
    )
    sick = cross_val_predict(
        model, described, labels, groups=patients, cv=GroupKFold(5), method="predict_proba"
    )[:, 1]
    place = np.empty(len(labels))
    for label, unlike in ((0, sick), (1, 1 - sick)):
        own = labels == label
        place[own] = unlike[own].argsort().argsort() / own.sum()
    return place
