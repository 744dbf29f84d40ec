"""Makes the sections of the configuration: strict, frozen dataclasses."""

import dataclasses
from typing import Annotated, Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

Share = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
NonNegativeCount = Annotated[int, Field(ge=0)]

Section = TypeVar("Section")


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field, Field)
)
def settings(cls: type[Section]) -> type[Section]:
    """Makes a class a section: checked by pydantic, frozen, unknown fields refused."""
    return dataclass(frozen=True, config=ConfigDict(extra="forbid"), kw_only=True)(cls)  # type: ignore[return-value]


def plain(section: Any) -> dict[str, Any]:
    """Turns a configuration, or one of its sections, into plain values for JSON."""
    return dataclasses.asdict(section)
