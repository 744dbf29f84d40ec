"""Makes a faster form of a model beside it, and proves that it decides as the model does."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.artifact import Artifact
from tfx.utils import path_utils

from components import names
from components.examples import Split, batches, sample
from components.model import int8
from components.progress import tracked
from components.quantiser import proof


class Int8Form(Artifact):
    """A folder with `int8.json` and, where the form is as good, OpenVINO's network."""

    TYPE_NAME = "pneumonia.Int8Form"  # Kubeflow wants namespace.Name


@component
def Quantiser(  # noqa: N802 - the step's name
    model: InputArtifact[standard_artifacts.Model],
    examples: InputArtifact[standard_artifacts.Examples],
    form: OutputArtifact[Int8Form],
    films: Parameter[int],
    seed: Parameter[int],
    code_version: Parameter[str],
) -> None:
    """Quantises a candidate on validation films and compares both forms on the test films.

    A form that decides otherwise is no fault of the model's: it is left out, and told.

    Args:
        model: the candidate.
        examples: raw examples.
        form: `int8.json` (`proof.Proof`) and, without faults, the network; AtomicPusher puts it
            beside the SavedModel.
        films: how many validation films to measure ranges on.
        seed: of their choice.
        code_version: fingerprint of the sources; part of the cache key.
    """
    loaded = tf.saved_model.load(path_utils.serving_model_path(model.uri))
    if not hasattr(loaded, names.CONCLUDE):
        raise ValueError(
            f"{model.uri}: has no signature {names.CONCLUDE}, as a ServedModel has, so no int8 "
            "form can be made of it; set push.int8_films=0"
        )
    val, test = (
        Split(Path(artifact_utils.get_split_uri([examples], split)))
        for split in (names.VAL, names.TEST)
    )
    found = make(loaded, val, test, films, seed, Path(form.uri))
    if found.faults:
        logging.warning("no int8 form: %s", found.summary)


def make(model: Any, val: Split, test: Split, films: int, seed: int, folder: Path) -> proof.Proof:
    """Writes the int8 form of a model where it decides as the model does, and what was found.

    Args:
        model: a loaded SavedModel of `ServedModel`.
        val: films to measure ranges on.
        test: films to compare both forms on.
        films: how many of `val`, as many of either class as there are.
        seed: of their choice.
        folder: where the form is written.
    """
    chosen = sample(np.array(val.labels()), films, seed)
    grey = [model.prepare(tf.constant(batch))[names.GREY] for batch in batches(val.images(chosen))]
    films_seen = np.concatenate(grey)
    exact = int8.served(model)
    fast = int8.centred(int8.quantised(exact, films_seen), exact, films_seen)
    asked = tracked(test.all_images(), "films in both forms", len(test.labels()))
    found = proof.prove(model, int8.runners(fast), asked)
    if not found.faults:
        int8.save(fast, folder)
    proof.write(found, folder)
    return found
