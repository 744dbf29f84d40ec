"""Settings of the training."""

from typing import Annotated, Literal

from pydantic import Field

from components.settings import Count, NonNegative, NonNegativeCount, settings


@settings
class TuneConfig:
    """Whether a Tuner looks for better settings before the Trainer, which then takes them."""

    trials: NonNegativeCount = 0  # 0: no Tuner


@settings
class TrainConfig:
    """How the network is trained."""

    epochs: Count = 5
    batch_size: Count = 32
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    patience: Count = 2  # epochs without a better validation AUC before training stops
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    class_weights: bool = True
    cache_gigabytes: NonNegative = 30.0  # of features; beyond, the longest unused are deleted
    # Of training's multiplications; auto: bfloat16 where the processor has it. Served is float32.
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    # The frozen layers in int8 (OpenVINO, pneumonia[fast]) where training films are looked at.
    int8_features: bool = False
