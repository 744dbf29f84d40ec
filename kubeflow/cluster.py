"""What the pipeline needs of a cluster: image, folders, and each step's resources."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pipeline.config import ConfigError

DEFAULT = Path(__file__).with_name("cluster.yaml")

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Folder = Annotated[str, Field(pattern=r"^/[^:]*$")]

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class Step:
    """One step's share of the cluster; request and limit are the same."""

    cpu: Positive = 2
    memory: Positive = 8  # in units of 10^9 bytes
    gpu: Count = 0
    gpu_type: str = "nvidia.com/gpu"  # Vertex AI: NVIDIA_TESLA_T4, ...
    retries: Count = 2
    cache: bool = True
    volumes: dict[str, Folder] = dataclasses.field(default_factory=dict)  # claim: mount path


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class Cluster:
    """The whole cluster file."""

    image: str
    data_root: str
    serving_dir: Folder
    cache_dir: Folder | None = None
    pipeline_root: str | None = None  # None: the cluster's own default
    step: dict[str, Any] = dataclasses.field(default_factory=dict)
    steps: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    def of(self, name: str) -> Step:
        """The named step's share: its own fields over those that every step gets."""
        return TypeAdapter(Step).validate_python({**self.step, **self.steps.get(name, {})})


def load(path: Path = DEFAULT, **replaced: str | None) -> Cluster:
    """Reads a cluster file; fields given by name, unless None, take the place of the file's.

    Raises ConfigError, one line that names the file, the field and the remedy.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: must hold fields such as 'image:', not a bare value")
        values |= {name: value for name, value in replaced.items() if value is not None}
        cluster = TypeAdapter(Cluster).validate_python(values)
        for name in cluster.steps:
            cluster.of(name)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); give a YAML file") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {field}: {first['msg']} (got {first['input']!r})") from error
    return cluster
