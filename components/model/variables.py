"""A SavedModel's variables, read and written without its graph."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf

from components.pusher.versions import MANIFEST, RECORD

Variables = dict[str, np.ndarray | bytes]

_FOLDER: Final = "variables"
# What is no longer true of a SavedModel whose variables are written anew.
FILES: Final = (_FOLDER, "fingerprint.pb")


def read(saved_model: Path) -> Variables:
    """Every tensor by its key; the object graph as bytes."""
    reader = tf.train.load_checkpoint(str(saved_model / _FOLDER / _FOLDER))
    return {key: reader.get_tensor(key) for key in sorted(reader.get_variable_to_shape_map())}


def write(saved_model: Path, tensors: Variables) -> None:
    """Writes variables where a SavedModel without any lies.

    Args:
        saved_model: its folder; has no folder of variables yet.
        tensors: every tensor by its key, of `read`.
    """
    (saved_model / _FOLDER).mkdir()
    keys = sorted(tensors)
    tf.raw_ops.SaveV2(
        prefix=str(saved_model / _FOLDER / _FOLDER),
        tensor_names=keys,
        shape_and_slices=[""] * len(keys),
        tensors=[tf.constant(tensors[key]) for key in keys],
    )


def rewrite(base: Path, values: Mapping[str, float], target: Path) -> None:
    """Copies a version without its push's notes, some variables with other values.

    Args:
        base: the version's folder.
        values: of float32[] variables, by name.
        target: the copy's folder; replaced where it exists.
    """
    tensors = read(base)
    for name, value in values.items():
        tensors[key(name)] = np.array(value, np.float32)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(base, target, ignore=shutil.ignore_patterns(RECORD.name, MANIFEST.name, *FILES))
    write(target, tensors)


def key(name: str) -> str:
    """The key of a variable that is an attribute of the saved object."""
    return f"{name}/.ATTRIBUTES/VARIABLE_VALUE"
