"""Films of earlier ingests: each keeps its split, and those that joined are a span of their own.

A span is TFX's word for what came together: https://www.tensorflow.org/tfx/guide/examplegen
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tfx.dsl.io import fileio

from components.ingest.entry import IngestError
from components.ingest.inspection import IngestRecord
from components.ingest.ledger import Fate

FILMS: Final = "films.csv"
_HEADER: Final = ("sha256", "split", "span")


@dataclass(frozen=True)
class Spans:
    """What an ingest goes on from.

    Attributes:
        splits: of each film that an earlier ingest wrote, by SHA-256.
        spans: the number of its span, from 0.
        span: the number of those that no earlier one wrote.
    """

    splits: Mapping[str, str]
    spans: Mapping[str, int]
    span: int

    @classmethod
    def since(cls, films: str) -> "Spans":
        """Reads what an ingest report's films.csv says; an empty path: this is the first ingest."""
        if not films:
            return cls({}, {}, 0)
        with fileio.open(films) as file:
            rows = list(csv.DictReader(file))
        spans = {row["sha256"]: int(row["span"]) for row in rows}
        return cls({row["sha256"]: row["split"] for row in rows}, spans, max(spans.values()) + 1)

    def notes(self, records: Sequence[IngestRecord], fates: Sequence[Fate]) -> list[str]:
        """What joined and what is gone.

        Raises:
            IngestError: nothing joined.
        """
        if not self.span:
            return []
        written = {r.sha256 for r, fate in zip(records, fates, strict=True) if fate.split}
        joined, gone = len(written - self.splits.keys()), len(self.splits.keys() - written)
        if not joined:
            raise IngestError(
                "no film is there that the model was not trained and judged on; add some to the "
                "data, or leave --since out"
            )
        notes = [f"{joined:,} films joined as span {self.span}; the others keep their splits"]
        return notes + ([f"films of earlier spans that are gone: {gone:,}"] if gone else [])

    def write(self, folder: str, records: Sequence[IngestRecord], fates: Sequence[Fate]) -> None:
        """Writes films.csv (sha256, split, span) into an ingest report's folder.

        Films that are gone stay in it: they may come back, and a model was trained on them.
        """
        kept = {r.sha256: fate.split for r, fate in zip(records, fates, strict=True) if fate.split}
        with fileio.open(f"{folder}/{FILMS}", "w") as file:
            table = csv.writer(file)
            table.writerow(_HEADER)
            table.writerows(
                (sha256, split, self.spans.get(sha256, self.span))
                for sha256, split in sorted({**self.splits, **kept}.items())
            )
