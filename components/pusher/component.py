"""Publishes a blessed model to the serving folder, whole or not at all."""

import logging
from pathlib import Path
from typing import Any

from tfx.components.evaluator.constants import ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY
from tfx.components.pusher import executor as tfx_pusher
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import (
    BaseChannel,
    Channel,
    ComponentSpec,
    artifact_utils,
    component_spec,
    standard_artifacts,
)
from tfx.types.artifact import Artifact
from tfx.utils import path_utils

from components.model.int8 import FILE
from components.pusher import versions
from components.quantiser.component import Int8Form

Artifacts = dict[str, list[Artifact]]

_FURTHER_BLESSINGS = ("counterfactual_blessing", "second_infra_blessing")


class AtomicPusherSpec(ComponentSpec):
    """What AtomicPusher reads, writes and is told."""

    PARAMETERS = {
        "serving_dir": component_spec.ExecutionParameter(type=str),
        "keep_versions": component_spec.ExecutionParameter(type=int),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        "infra_blessing": component_spec.ChannelParameter(
            type=standard_artifacts.InfraBlessing, optional=True
        ),
        "counterfactual_blessing": component_spec.ChannelParameter(
            type=standard_artifacts.InfraBlessing, optional=True
        ),
        "second_infra_blessing": component_spec.ChannelParameter(
            type=standard_artifacts.InfraBlessing, optional=True
        ),
        "int8_form": component_spec.ChannelParameter(type=Int8Form, optional=True),
    }
    OUTPUTS = {"pushed_model": component_spec.ChannelParameter(type=standard_artifacts.PushedModel)}


class Executor(tfx_pusher.Executor):
    """TFX's Pusher with a push that a kill or a full disk cannot leave half done."""

    def CheckBlessing(self, input_dict: Artifacts) -> bool:  # noqa: N802 - TFX's name
        """Whether every judge that the pipeline has blesses the model."""
        # To TFX's Pusher these are more blessings of the kind that it knows.
        others = (input_dict.get(key) for key in _FURTHER_BLESSINGS)
        return super().CheckBlessing(input_dict) and all(
            super(Executor, self).CheckBlessing({**input_dict, "infra_blessing": other})
            for other in others
            if other
        )

    def Do(  # noqa: N802 - TFX's name
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """TFX calls it where no cached execution fits.

        A model that is whole in the folder already is not copied again: neither after a kill
        between the push and its entry in the metadata, nor where only the bounds changed. Raises
        versions.PublishError.
        """
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        folder = Path(exec_properties["serving_dir"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        blessing = artifact_utils.get_single_instance(input_dict["model_blessing"])
        of = versions.PublishedRecord(model=identify(model.uri), baseline=_baseline(blessing))
        for tried in input_dict.get("infra_blessing") or ():
            judged = tried.get_string_custom_property(versions.JUDGED)
            if judged and judged != of.model.sha256:
                raise versions.PublishError(
                    f"{model.uri}: not the files that were judged; 'rm -r {model.uri}' and start "
                    "again: the Trainer makes them anew"
                )
        form = input_dict.get("int8_form")
        int8 = Path(artifact_utils.get_single_uri(form)) if form else None
        there = versions.holders(folder, of.model.sha256)
        whole = (known for known in there if not versions.damage(folder, known))
        version = next((known for known in whole if _has(folder / str(known), int8)), None)
        pushed.set_int_custom_property("published", int(version is None))
        if version is None:
            source = Path(path_utils.serving_model_path(model.uri))
            version = versions.publish(folder, source, of, int8=int8)
        versions.prune(folder, exec_properties["keep_versions"])
        logging.info("%s: holds the model as version %d", folder, version)
        self._MarkPushed(pushed, str(folder / str(version)), str(version))


class AtomicPusher(base_component.BaseComponent):
    """Publishes a model that is blessed for its figures and for all else that it was tried for.

    The output `pushed_model` carries the custom properties of TFX's own Pusher: `pushed` (0 or 1)
    and, of a pushed one, `pushed_version` and `pushed_destination`; besides, `published` (0 or 1)
    tells whether a version was written or was there.

    Args:
        model: the candidate.
        model_blessing: Evaluator's.
        serving_dir: TensorFlow Serving's `model_base_path`, on a file system that renames whole
            folders (not a bucket).
        keep_versions: how many of the newest versions stay there, at least 1.
        infra_blessing: ServingCheck's; None: not asked for.
        counterfactual_blessing: Counterfactuals'; None: not asked for.
        second_infra_blessing: TFX's InfraValidator's; None: not asked for.
        int8_form: Quantiser's, which travels with the model; None: none is made.

    Raises:
        ValueError: `serving_dir` is a bucket, or `keep_versions` is below 1.
    """

    SPEC_CLASS = AtomicPusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: BaseChannel,
        model_blessing: BaseChannel,
        serving_dir: str,
        keep_versions: int,
        infra_blessing: BaseChannel | None = None,
        counterfactual_blessing: BaseChannel | None = None,
        second_infra_blessing: BaseChannel | None = None,
        int8_form: BaseChannel | None = None,
    ) -> None:
        if "://" in serving_dir:
            raise ValueError(f"serving_dir {serving_dir}: give a folder; a bucket cannot rename")
        if keep_versions < 1:
            raise ValueError(f"keep_versions {keep_versions}: must be at least 1")
        super().__init__(
            AtomicPusherSpec(
                model=model,
                model_blessing=model_blessing,
                infra_blessing=infra_blessing,
                counterfactual_blessing=counterfactual_blessing,
                second_infra_blessing=second_infra_blessing,
                int8_form=int8_form,
                serving_dir=serving_dir,
                keep_versions=keep_versions,
                pushed_model=Channel(type=standard_artifacts.PushedModel),
            )
        )


def _has(version: Path, int8: Path | None) -> bool:
    """Whether a version holds that form, or neither has a network; where none is asked for, any."""
    if int8 is None:
        return True
    forms = int8, version / versions.INT8
    if not any((form / FILE).is_file() for form in forms):
        return True
    made, there = map(versions.manifest, forms)
    return made == there


def _baseline(blessing: Artifact) -> versions.PublishedModel | None:
    """None, too, where it is out of reach: on Kubeflow a step sees its own inputs and no others."""
    uri = blessing.get_string_custom_property(ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY)
    return identify(uri) if uri and Path(uri).is_dir() else None


def identify(uri: str) -> versions.PublishedModel:
    """The Model artifact at `uri`, by its content."""
    return versions.PublishedModel(uri, versions.digest(Path(path_utils.serving_model_path(uri))))
