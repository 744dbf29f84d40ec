"""A trained version written anew by the code as it is: more outputs, the same weights."""

import json
import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from components import names
from components.image.settings import ImageConfig
from components.model import imagenet, signatures
from components.model.card import EXTRA, SUMMARY
from components.model.familiarity import Familiarity
from components.model.network import build
from components.model.operating_point import OperatingPoint
from components.model.settings import ModelConfig
from components.pusher.versions import MANIFEST, RECORD
from components.settings import known


def is_worthwhile(version: Path) -> bool:
    """Whether today's code would give a version more signatures, and can; nothing is loaded."""
    saved_model = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    signatures_there = saved_model.meta_graphs[0].signature_def
    has_familiarity = names.FAMILIARITY in signatures_there[names.PREDICT_IMAGE].outputs
    return has_familiarity and names.CONCLUDE not in signatures_there


def reexport(version: Path, target: Path) -> None:
    """Writes a version's model with today's signatures; needs no training.

    Args:
        version: a SavedModel that this code's ancestors trained, with a familiarity.
        target: a new folder.

    Raises:
        ValueError: the version's network is not the one that its settings make today.
    """
    summary = json.loads((version / EXTRA / SUMMARY).read_text("utf-8"))
    config = summary["config"]
    # What older code had besides went into Transform's graph, if anywhere.
    image = ImageConfig(**known(ImageConfig, config["image"]))
    model = ModelConfig(**known(ModelConfig, config["model"]))
    loaded = tf.saved_model.load(str(version))
    # Which weights it starts from does not matter: all are set anew below.
    start = imagenet.load("random", width=model.width, seed=0)
    network = build(image.size, model, start)
    network.take(loaded.weights, f"{version}: its network is another one; train it anew")
    point = OperatingPoint(**summary["operating_point"])
    centre, spread = loaded.distances.numpy()
    usual = Familiarity(
        np.asarray(loaded.usual), np.asarray(loaded.whitening), float(centre), float(spread)
    )
    servable = signatures.ServedModel(network, point, usual, loaded.transform, image)
    # A recalibrated version's own; the summary rounds nothing, but the variables are what serves.
    for name in ("slope", "intercept", "threshold", "heat_scale"):
        getattr(servable, name).assign(getattr(loaded, name))
    signatures.export(servable, str(target))
    notes = shutil.ignore_patterns(RECORD.name, MANIFEST.name)  # of the push of another content
    shutil.copytree(version / EXTRA, target / EXTRA, ignore=notes)
