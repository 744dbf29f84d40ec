"""What the pipeline needs of a cluster: image, folders, and each step's resources."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from components.settings import NonNegativeCount
from pipeline.config import ConfigError

DEFAULT = Path(__file__).with_name("cluster.yaml")
INFRA_VALIDATOR = "InfraValidator"

Positive = Annotated[float, Field(gt=0)]
# Without what Beam would take for a pattern of file names; an object store's URI may have a query.
Folder = Annotated[str, Field(pattern=r"^/[^:*?\[\\]*$")]
Root = Annotated[str, Field(pattern=r"^[^*?\[\\]*(\?.*)?$")]

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class Toleration:
    """A taint that a step's pod may be scheduled in spite of, in Kubernetes' own terms."""

    key: str = ""  # empty: every taint
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""  # empty: every one

    @model_validator(mode="after")
    def _as_kubernetes_takes_it(self) -> Self:
        if self.operator == "Exists" and self.value:
            raise ValueError("operator Exists takes no value")
        if self.operator == "Equal" and not self.key:
            raise ValueError("an empty key needs operator Exists")
        return self


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class StepResources:
    """One step's share of the cluster; request and limit are the same."""

    cpu: Positive = 2
    memory: Positive = 8  # in units of 10^9 bytes
    gpu: NonNegativeCount = 0
    gpu_type: str = "nvidia.com/gpu"  # Vertex AI: NVIDIA_TESLA_T4, ...
    retries: NonNegativeCount = 2
    cache: bool = True
    volumes: dict[str, Folder] = dataclasses.field(default_factory=dict)  # claim: mount path
    node_selector: dict[str, str] = dataclasses.field(default_factory=dict)  # label: value
    tolerations: tuple[Toleration, ...] = ()


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class Trial:
    """How TFX's InfraValidator tries the model in a pod of the real server."""

    image: Annotated[str, Field(pattern=r"^[^:@]+(:\d+/[^:@]+)?(:[\w.-]+|@sha256:[0-9a-f]{64})$")]
    dir: Folder  # on a volume that the step InfraValidator mounts, and the server's pod with it


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class Cluster:
    """The whole cluster file."""

    image: str
    data_root: str
    serving_dir: Folder
    cache_dir: Folder | None = None
    pipeline_root: Root | None = None  # None: the cluster's own default
    image_pull_secrets: tuple[str, ...] = ()
    infra_validator: Trial | None = None  # None: the embedded server alone tries the model
    step: StepResources = dataclasses.field(default_factory=StepResources)
    steps: dict[str, StepResources] = dataclasses.field(default_factory=dict)

    def of(self, name: str) -> StepResources:
        """The named step's share."""
        return self.steps.get(name, self.step)


def load(path: Path = DEFAULT, **replaced: str | None) -> Cluster:
    """Reads a cluster file.

    Args:
        path: YAML; what a step does not say is taken from its `step`.
        **replaced: fields that take the place of the file's, unless None.

    Raises:
        ConfigError: one line that names the file, the field and the remedy.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        cluster = TypeAdapter(Cluster).validate_python(_filled(values, replaced))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); give a YAML file") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except TypeError as error:
        raise ConfigError(f"{path}: must hold fields and sections, as {DEFAULT} does") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {field}: {first['msg']} (got {first['input']!r})") from error
    trial = cluster.infra_validator
    volumes = cluster.of(INFRA_VALIDATOR).volumes.values()
    if trial and not any(trial.dir.startswith(f"{volume}/") for volume in volumes):
        raise ConfigError(
            f"{path}: infra_validator.dir: {trial.dir} lies on none of the volumes that "
            f"steps.{INFRA_VALIDATOR} mounts; the server's pod finds the model on a volume only"
        )
    return cluster


def _filled(values: Any, replaced: dict[str, str | None]) -> dict[str, Any]:
    """The file's values with every step's own over those that all get; TypeError: no mapping."""
    given = {name: value for name, value in replaced.items() if value is not None}
    merged = {**values, **given}
    step = merged.get("step", {})
    own = {**merged.get("steps", {})}
    return {**merged, "steps": {name: {**step, **fields} for name, fields in own.items()}}
