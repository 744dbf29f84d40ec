"""The int8 form of a version whose operating point has moved: proven anew, or left out."""

import logging
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from components.model import int8
from components.pusher.versions import INT8
from components.quantiser import proof


def keep_if_proven(version: Path, films: Iterable[bytes]) -> proof.Proof | None:
    """Asks both forms about films; deletes the int8 network where it decides otherwise now.

    Calibration stretches what the forms differ in, and another threshold is among other films.

    Args:
        version: a SavedModel of `ServedModel`, changed where it lies.
        films: JPEG or PNG, at least one.

    Returns:
        What was found, as it stands in the version; None: it has no int8 form.
    """
    folder = version / INT8
    if not (folder / int8.FILE).is_file():
        return None
    try:
        networks = int8.runners(folder / int8.FILE)
    except ModuleNotFoundError:
        fault = "OpenVINO is not installed, so not proven anew: pip install 'pneumonia[fast]'"
        found = replace(proof.read(folder), faults=(fault,), bfloat16=False)
    else:
        found = proof.prove(tf.saved_model.load(str(version)), networks, films)
    if found.faults:
        logging.warning("no int8 form: %s", found.summary)
        shutil.rmtree(folder)
        folder.mkdir()
    proof.write(found, folder)
    return found
