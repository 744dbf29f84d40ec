"""Reads the films of a split or of files, with one batch in memory."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from client import images
from client.image_errors import ImageError
from components import names

SLICE: Final = 16  # images worked on at a time, whatever the batch
_TEXTS: Final = (names.FILENAME, names.SHA256, names.PATIENT_ID, names.ETIOLOGY)
_SPEC: Final = {
    names.IMAGE: tf.io.FixedLenFeature([], tf.string),
    names.LABEL: tf.io.FixedLenFeature([], tf.int64),
    **{key: tf.io.FixedLenFeature([], tf.string, "") for key in _TEXTS},
}


class Split:
    """The raw examples in a split's folder; every reading gives them in the same order."""

    def __init__(self, folder: Path) -> None:
        self._files = sorted(str(path) for path in folder.iterdir())

    def records(self) -> Iterator[bytes]:
        """Streams the serialized tf.Examples.

        Raises OSError where a file is damaged.
        """
        for file in self._files:
            try:
                yield from tf.data.TFRecordDataset(file, "GZIP").as_numpy_iterator()
            except tf.errors.DataLossError as error:
                cause = error.message.partition("\n")[0]
                raise OSError(f"{file}: is damaged ({cause}); start a new run") from error

    def all_images(self) -> Iterator[bytes]:
        """Streams the encoded images; raises as `records` does."""
        return (parsed([record])[names.IMAGE][0] for record in self.records())

    def images(self, positions: Sequence[int]) -> list[bytes]:
        """Reads the encoded images at some positions, in the order of `positions`."""
        wanted = set(positions)
        found = {
            position: parsed([record])[names.IMAGE][0]
            for position, record in enumerate(islice(self.records(), max(wanted, default=-1) + 1))
            if position in wanted
        }
        return [found[position] for position in positions]

    def labels(self) -> list[int]:
        """Reads each record's label, 0 or 1."""
        return [int(parsed([record])[names.LABEL][0]) for record in self.records()]


def parsed(records: Sequence[bytes]) -> dict[str, Any]:
    """Parses serialized tf.Examples into NumPy arrays by feature name; decodes texts to lists."""
    values = {key: value.numpy() for key, value in tf.io.parse_example(records, _SPEC).items()}
    for key in _TEXTS:
        values[key] = [text.decode("utf-8", "replace") for text in values[key]]
    return values


def batches(values: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Groups values into lists of at most SLICE, what a signature works on at a time."""
    iterator = iter(values)
    while batch := list(islice(iterator, SLICE)):
        yield batch


def different(files: Iterable[Path], unreadable: list[Path]) -> Iterator[bytes]:
    """Reads image files as the client does, each film once, however many files hold it.

    Args:
        files: images of any kind that `client.images` takes.
        unreadable: gets the files that cannot be used.

    Yields:
        A film as JPEG or PNG, as it would be sent.
    """
    seen: set[str] = set()
    for file in files:
        try:
            xray = images.read(file)
        except ImageError:
            unreadable.append(file)
            continue
        if xray.sha256 not in seen:
            seen.add(xray.sha256)
            yield xray.data


def sample(labels: NDArray[np.int64], count: int, seed: int) -> list[int]:
    """Positions of some records, as many of either class as there are, at most half each.

    Args:
        labels: int64[N], 0 or 1.
        count: of records that are wanted.
        seed: of the choice.

    Returns:
        At most `count` positions, ascending.
    """
    generator = np.random.default_rng(seed)
    chosen: list[int] = []
    for label in (0, 1):
        positions = generator.permutation(np.flatnonzero(labels == label))
        chosen += positions[: count // 2].tolist()
    return sorted(chosen)
