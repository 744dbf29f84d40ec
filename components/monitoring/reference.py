"""What a version answers to films it was judged on, kept as a request log of their own."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from client.request_log import tfrecord
from client.request_log.record import Film, Record, digest, encode, films
from components import names
from components.examples import Split, batches
from components.files import replacing
from components.model import loading
from components.progress import tracked

TITLE = "films of the reference"
_MOST = 1_000  # films: more would prove nothing that these do not


def of_splits(version: Path, splits: Sequence[Path], kept: Path) -> list[Film]:
    """Asks a version about the films of some splits, once; `kept` is where the answers stay.

    Args:
        version: a SavedModel.
        splits: folders of raw examples that the model was not trained on.
        kept: a file for this version and these films alone.

    Raises:
        DamagedModelError: the version cannot be loaded.
        OSError: the answers cannot be kept.
    """
    if not kept.is_file():
        images = []
        for folder in splits:
            split = Split(folder)
            labels = np.array(split.labels())
            # In the split's own mixture, so that the share of sick films is the split's.
            places = np.linspace(0, len(labels) - 1, min(len(labels), _MOST // len(splits)))
            images += split.images(sorted({int(place) for place in places}))
        write(version, tracked(images, TITLE, len(images)), kept)
    return read(kept)


def write(version: Path, images: Iterable[bytes], target: Path) -> None:
    """Asks a version about films and keeps what it says as records of a request log.

    Args:
        version: a SavedModel.
        images: JPEG or PNG.
        target: a file of the request log's format, written whole or not at all.

    Raises:
        DamagedModelError: the version cannot be loaded.
        OSError: the file cannot be written.
    """
    predict = loading.load(version).signatures[names.PREDICT_IMAGE]
    with replacing(target) as file:
        for batch in batches(images):
            start = time.time()
            answer = {name: value.numpy() for name, value in predict(tf.constant(batch)).items()}
            record = Record(
                time=start,
                model=names.MODEL_NAME,
                version=int(version.name) if version.name.isdigit() else 0,
                signature=names.PREDICT_IMAGE,
                hashes=[digest(image) for image in batch],
                outputs=answer,
                latency=time.time() - start,
            )
            file.write(tfrecord.framed(encode(record)))


def read(file: Path) -> list[Film]:
    """The films that `write` has kept."""
    return [film for serialized in tfrecord.read(file) for film in films(serialized)]
