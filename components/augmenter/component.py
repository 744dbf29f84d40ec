"""The component: what Augmenter reads, writes and is told."""

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import BaseChannel, Channel, ComponentSpec, component_spec
from tfx.types.artifact import Artifact
from tfx.types.standard_artifacts import Examples

from components.augmenter.executor import Executor


class ContactSheet(Artifact):
    """`augmentation.png` and `segmentation.png`: pictures for people to look at."""

    TYPE_NAME = "pneumonia.ContactSheet"  # Kubeflow wants namespace.Name


class AugmenterSpec(ComponentSpec):
    """Channels and parameters of Augmenter."""

    PARAMETERS = {
        "augment_config": component_spec.ExecutionParameter(type=str),
        "image_config": component_spec.ExecutionParameter(type=str),
        "seed": component_spec.ExecutionParameter(type=int),
        "code_version": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {"examples": component_spec.ChannelParameter(type=Examples)}
    OUTPUTS = {
        "augmented_examples": component_spec.ChannelParameter(type=Examples),
        "contact_sheet": component_spec.ChannelParameter(type=ContactSheet),
    }


class Augmenter(base_beam_component.BaseBeamComponent):
    """Evens out the classes of the training split by augmented copies of the minority.

    The output `augmented_examples` has the splits train (the originals, of which a share may be
    augmented themselves, their further versions and the copies, in an order without class blocks)
    and val (copied byte for byte). It depends on the images, the configuration and the seed alone,
    not on the order of the records or the number of workers. The output `contact_sheet` shows what
    was done.
    """

    SPEC_CLASS = AugmenterSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: BaseChannel,
        augment_config: str,
        image_config: str,
        seed: int,
        code_version: str,
    ) -> None:
        """Wires the component.

        Args:
            examples: transformed examples, `image_png` and `label`, with the splits train and val.
            augment_config: AugmentConfig's fields as JSON.
            image_config: ImageConfig's fields as JSON, as Transform used them.
            seed: decides every draw.
            code_version: fingerprint of the sources; part of the cache key.
        """
        super().__init__(
            spec=AugmenterSpec(
                examples=examples,
                augment_config=augment_config,
                image_config=image_config,
                seed=seed,
                code_version=code_version,
                augmented_examples=Channel(type=Examples),
                contact_sheet=Channel(type=ContactSheet),
            )
        )
