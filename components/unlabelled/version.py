"""A pushed version whose logits are moved to where another hospital's films have put them."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from scipy import special

from components import names
from components.examples import batches, different
from components.model import card, loading, variables
from components.model.card import EXTRA, RECALIBRATION, SUMMARY
from components.progress import tracked
from components.quantiser import carried
from components.unlabelled.fit import Fitted, Logits, UnlabelledError

_FILMS: Final = 500  # that tell whether the int8 form still decides as the float32 form does


@dataclass(frozen=True)
class Asked:
    """A model's calibrated logits of some films, its threshold as one, and the unreadable files."""

    logits: Logits
    cut: float
    unreadable: int


def of_val(base: Path) -> tuple[list[float], list[float]]:
    """Calibrated logits of val's healthy and sick films, as they travel with a trained version.

    Raises:
        UnlabelledError: the version is a recalibration, or is older than this.
    """
    if (base / RECALIBRATION).is_file():
        raise UnlabelledError(
            f"{base} is a recalibration itself; give the folder of the trained one"
        )
    try:
        held = json.loads((base / EXTRA / SUMMARY).read_text("utf-8"))["validation"]["logits"]
        return held[names.CLASSES[0]], held[names.CLASSES[1]]
    except (OSError, ValueError, KeyError) as error:
        raise UnlabelledError(
            f"{base} does not carry the logits of its validation films ({SUMMARY}: "
            f"{type(error).__name__}); train it anew, or give labelled films (--data)"
        ) from error


def ask(base: Path, files: Sequence[Path]) -> Asked:
    """Asks a version of each different film among some files.

    Args:
        base: the version's SavedModel.
        files: images; unreadable ones are counted.

    Raises:
        DamagedModelError: the version cannot be loaded.
    """
    predict = loading.load(base).signatures[names.PREDICT_IMAGE]
    unreadable: list[Path] = []
    parts, cut = [], np.nan
    for batch in batches(different(tracked(files, "films", len(files)), unreadable)):
        answer = predict(tf.constant(batch))
        inside = np.clip(answer[names.PROBABILITY].numpy().astype(np.float64), 1e-7, 1 - 1e-7)
        parts.append(special.logit(inside))
        cut = float(special.logit(answer[names.THRESHOLD].numpy()[0].astype(np.float64)))
    return Asked(np.concatenate(parts) if parts else np.empty(0), cut, len(unreadable))


def write(
    base: Path, files: Sequence[Path], fitted: Fitted, base_sha256: str, target: Path
) -> None:
    """Writes the version with its logits moved back by the shift; the threshold stays.

    Its int8 form goes along where that still holds.

    Args:
        base: the SavedModel of a trained version.
        files: the site's images.
        fitted: what its logits are at the site.
        base_sha256: names the base's content.
        target: where the SavedModel is written.
    """
    summary: dict[str, Any] = json.loads((base / EXTRA / SUMMARY).read_text("utf-8"))
    intercept = summary["operating_point"]["intercept"] - fitted.shift
    variables.rewrite(base, {"intercept": intercept}, target)
    carried.keep_if_proven(target, islice(different(files, unreadable=[]), _FILMS))
    found = {"base_sha256": base_sha256, **asdict(fitted)}
    summary["operating_point"]["intercept"] = intercept
    summary["unlabelled"] = found
    summary["recalibrated_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    documents: Iterable[tuple[str, bytes]] = (
        (RECALIBRATION.name, json.dumps({"unlabelled": found}, indent=1).encode()),
        *card.documents(summary).items(),
    )
    for name, content in documents:
        (target / EXTRA / name).write_bytes(content)
