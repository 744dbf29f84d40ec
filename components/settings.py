"""Makes the sections of the configuration: strict, frozen dataclasses."""

import dataclasses
from collections.abc import Mapping
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


def known(section: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves out what only older code had settings for.

    Args:
        section: made by `settings`, or the sum of such sections.
        values: what older code wrote, by the fields' names.

    Returns:
        The values of the fields that are still there.
    """
    fields = {field.name: field.default_factory for field in dataclasses.fields(section)}
    return {
        name: known(fields[name], value)
        if dataclasses.is_dataclass(fields[name]) and isinstance(value, Mapping)
        else value
        for name, value in values.items()
        if name in fields
    }
