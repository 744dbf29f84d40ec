"""Settings of the ingest."""

import dataclasses
from typing import Annotated, Final, Literal, get_args

from pydantic import Field

from components.settings import Count, Share, settings

Column = Literal["path", "label", "patient_id", "split", "etiology", "source"]
COLUMNS: Final = get_args(Column)
_MOST_PIXELS: Final = 178_956_970  # from there on Pillow takes a file for a decompression bomb


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
