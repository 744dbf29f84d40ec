"""Reads a run's configuration, the sum of the steps' settings, from YAML and checks it."""

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Self

import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from components.data_gate.settings import ShiftConfig
from components.evaluator.settings import GateConfig
from components.files import unfit
from components.image.settings import AugmentConfig, ImageConfig
from components.ingest.settings import DataConfig
from components.model.settings import ModelConfig, OperatingPointConfig
from components.settings import Count, NonNegativeCount, known, settings
from components.trainer.settings import TrainConfig, TuneConfig

RUN_FN: Final = "components.trainer.run.run_fn"

Dotted = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")]
Endpoint = Annotated[str, Field(pattern=r"^[^\s/:]+:\d{1,5}$")]


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names file, field and remedy."""


@settings
class ReportConfig:
    """What the run's report shows."""

    films_per_gallery: Annotated[int, Field(ge=0, le=40)] = 8  # missed, false alarms, borderline
    robustness_films: NonNegativeCount = 60  # each is asked 61 times, about 15 s; 0: not tested
    cam_films: NonNegativeCount = 12  # whose heat maps are tested; 0: none


@settings
class PushConfig:
    """What goes to the serving folder, and what stays there."""

    keep_versions: Count = 3
    # Validation films that the int8 form of the model is made on, for `serve --precision=int8`; a
    # hundred are enough. 0: no such form is made.
    int8_films: NonNegativeCount = 0


@settings
class BeamConfig:
    """Where Beam runs."""

    # direct: on this machine; portable: a job server of the site's; or one of Beam's own runners by
    # its name (see docs/scaling.md)
    runner: Annotated[str, Field(pattern=r"^(direct|portable|[A-Z]\w*Runner)$")] = "direct"
    workers: Count = 1  # processes
    job_endpoint: Endpoint | None = None  # portable: the job server
    artifact_endpoint: Endpoint | None = None  # None: the one that the job server names
    worker_pool: Endpoint | None = None  # as its machines reach their pool, or ...
    worker_image: str | None = None  # ... the image that they start workers of
    args: tuple[str, ...] = ()  # passed through to Beam

    @property
    def forks(self) -> bool:
        """Whether Beam's workers are processes of this machine."""
        return self.runner == "direct" and self.workers > 1

    @model_validator(mode="after")
    def _fits(self) -> Self:
        portable = (self.job_endpoint, self.artifact_endpoint, self.worker_pool, self.worker_image)
        if self.runner != "portable":
            if any(portable):
                raise ValueError("endpoints, worker_pool and worker_image are for runner portable")
        elif self.job_endpoint is None:
            raise ValueError("runner portable needs job_endpoint, host:port of a Beam job server")
        elif (self.worker_pool is None) == (self.worker_image is None):
            raise ValueError("runner portable needs either worker_pool or worker_image")
        for name, _, value in (arg.partition("=") for arg in self.args):
            if name.endswith(("_location", "_dir")) and (fault := unfit(value)):
                raise ValueError(f"{name}={fault}")
        return self


@settings
class CodeConfig:
    """A team's own functions in place of ours, by import path (docs/own-trainer.md)."""

    run_fn: Dotted = RUN_FN
    preprocessing_fn: Dotted = "components.transform.preprocessing_fn"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # handed to both


@settings
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
    tune: TuneConfig = dataclasses.field(default_factory=TuneConfig)
    code: CodeConfig = dataclasses.field(default_factory=CodeConfig)
    operating_point: OperatingPointConfig = dataclasses.field(default_factory=OperatingPointConfig)
    gate: GateConfig = dataclasses.field(default_factory=GateConfig)
    report: ReportConfig = dataclasses.field(default_factory=ReportConfig)
    push: PushConfig = dataclasses.field(default_factory=PushConfig)
    beam: BeamConfig = dataclasses.field(default_factory=BeamConfig)

    @model_validator(mode="after")
    def _tunes_what_it_knows(self) -> Self:
        if self.tune.trials and self.code.run_fn != RUN_FN:
            raise ValueError("tune.trials searches settings of our own run_fn only; set it to 0")
        return self


def load(
    path: Path | None = None,
    overrides: Sequence[str] = (),
    name: str | None = None,
    *,
    of_run: bool = False,
) -> Config:
    """Reads a YAML file, `section.field=value` overrides and the run's name, in that order.

    Args:
        path: the YAML file; None: the defaults hold.
        overrides: `section.field=value`, the value in YAML.
        name: the run's name; None: the file's, or the default.
        of_run: whether a run wrote the file, maybe with older code: the settings that only that
            code had are passed over.

    Returns:
        The configuration, checked.

    Raises:
        ConfigError: the configuration cannot be used; the message is one line that names file,
            field and remedy.
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
    if of_run:
        values = known(Config, values)
    for override in overrides:
        _apply(values, override)
    if name is not None:
        values["name"] = name
    try:
        return TypeAdapter(Config).validate_python(values)
    except ValidationError as error:
        raise ConfigError(_one_line(error, path)) from error


def dump(config: Config) -> str:
    """Writes the whole configuration as YAML that `load` reads back."""
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
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}{'.'.join(location)}: {message} (got {first['input']!r})"


def _fields_of(sections: list[str]) -> list[str]:
    owner: Any = Config
    for section in sections:
        owner = typing.get_type_hints(owner).get(section)
    return [field.name for field in dataclasses.fields(owner)] if owner else []
