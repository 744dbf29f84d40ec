"""What a data set says of one file, before anyone opens it."""

import dataclasses
from collections.abc import Mapping


class IngestError(ValueError):
    """A data set that cannot be ingested; one line that names folder or file, and the remedy."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One file, or one folder that cannot be listed.

    Attributes:
        path: below the data set's folder, or absolute where a manifest says so.
        label: 0 or 1; None where no class is known.
        official_test: whether the data set itself puts the file into its test split.
        patient: as in a manifest, else None.
        etiology: as in a manifest, else None.
        source: as in a manifest, else None.
        problem: why the file system yields nothing there, else empty.
        left_out: why it is not for this training, though nothing is wrong with it; else empty.
        told: the table's values in the columns that groups are read from.
    """

    path: str
    label: int | None
    official_test: bool = False
    patient: str | None = None
    etiology: str | None = None
    source: str | None = None
    problem: str = ""
    left_out: str = ""
    told: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
