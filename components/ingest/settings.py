"""Settings of the ingest."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self, get_args

import pydicom.datadict
from pydantic import AfterValidator, Field, model_validator

from components.settings import Count, Share, settings

Column = Literal["path", "label", "patient_id", "split", "etiology", "source"]
COLUMNS: Final = get_args(Column)
_MOST_PIXELS: Final = 178_956_970  # from there on Pillow takes a file for a decompression bomb
# Of people, dates, times and UIDs: not what a group is named by.
_TELLING: Final = {"PN", "DA", "DT", "TM", "UI"}

Group = Literal["age_group", "sex", "view", "site", "manufacturer"]


def _tag(keyword: str) -> str:
    tag = pydicom.datadict.tag_for_keyword(keyword)
    if tag is None or pydicom.datadict.dictionary_VR(tag) in _TELLING:
        raise ValueError(f"'{keyword}' is no DICOM keyword of a group, such as PatientSex")
    return keyword


@settings
class GroupConfig:
    """Where a film's group is read: the manifest first, then the DICOM."""

    column: str | None = None  # of the manifest
    dicom: Annotated[str, AfterValidator(_tag)] | None = None  # a keyword, such as PatientAge
    # Numbers are grouped: 18, 65 make "under 18", "18 to 64" and "65 and over".
    limits: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _is_found_somewhere(self) -> Self:
        if not (self.column or self.dicom):
            raise ValueError("needs a column of the manifest, a dicom keyword, or both")
        if list(self.limits) != sorted(set(self.limits)):
            raise ValueError("limits must rise")
        return self


@settings
class DataConfig:
    """What is read and how it is split."""

    patient_pattern: str | None = None  # regular expression; group 1 is the patient
    columns: dict[Column, str] = dataclasses.field(default_factory=dict)  # a manifest's own names
    positive: tuple[str, ...] = ()  # words of its labels that mean pneumonia, and ...
    negative: tuple[str, ...] = ()  # ... none; with either, films labelled otherwise are left out
    file_names: bool = False  # whether they tell nobody, and may stand in reports and examples
    val_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    test_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.1  # used where there is no test folder
    limit_per_class: Count | None = None  # whole patients are taken until a class reaches it
    max_rejected: Share = 0.05
    max_bytes: Count = 64 * 2**20
    max_pixels: Annotated[int, Field(ge=1, le=_MOST_PIXELS)] = 50_000_000
    groups: Mapping[Group, GroupConfig] = dataclasses.field(default_factory=dict)
    smallest_group: Count = 5  # patients of a split; rarer values of a group are pooled
