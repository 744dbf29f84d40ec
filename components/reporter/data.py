"""Reads what the report shows of a run's data: ingest ledger, warnings and statistics."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tfx.components.statistics_gen import stats_artifact_utils
from tfx.types import artifact_utils
from tfx.types.artifact import Artifact

from components import names
from components.data_gate.component import SUMMARY_FILE
from components.ingest import report as ingest
from components.ingest.report import DUPLICATES, REJECTS

_LISTED = 50
_SIZES = (names.WIDTH, names.HEIGHT)


@dataclass(frozen=True)
class DataOverview:
    """What the report shows of the data.

    Attributes:
        ledger: what became of each file.
        rejects: the first rows of the ledger's table of rejects.
        duplicates: the first rows of the ledger's table of duplicates.
        warnings: the data gate's.
        sizes: by split and side: least, median and largest, in pixels.
        values: by split and slice key: the most frequent values, with their number of films.
    """

    ledger: ingest.Ledger
    rejects: list[dict[str, str]]
    duplicates: list[dict[str, str]]
    warnings: list[str]
    sizes: dict[str, dict[str, tuple[int, int, int]]]
    values: dict[str, dict[str, list[tuple[str, int]]]]


def read(ingest_report: Path, data_summary: Path, statistics: Artifact) -> DataOverview:
    """Reads what earlier steps wrote of the data.

    Args:
        ingest_report: XrayExampleGen's folder.
        data_summary: DataGate's folder.
        statistics: StatisticsGen's artifact.

    Returns:
        What the report shows of them.
    """
    by_split = {
        split: _features(statistics, split)
        for split in artifact_utils.decode_split_names(statistics.split_names)
    }
    return DataOverview(
        ledger=ingest.read(ingest_report),
        rejects=list(_rows(ingest_report / REJECTS)),
        duplicates=list(_rows(ingest_report / DUPLICATES)),
        warnings=json.loads((data_summary / SUMMARY_FILE).read_text("utf-8"))["warnings"],
        sizes={
            split: {side: _range(found[side].num_stats) for side in _SIZES if side in found}
            for split, found in by_split.items()
        },
        values={
            split: {key: _top(found[key]) for key in names.SLICE_KEYS if key in found}
            for split, found in by_split.items()
        },
    )


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from islice(csv.DictReader(file), _LISTED)


def _features(statistics: Artifact, split: str) -> dict[str, Any]:
    proto = stats_artifact_utils.load_statistics(statistics, split).proto()
    return {feature.path.step[0]: feature for feature in proto.datasets[0].features}


def _range(numbers: Any) -> tuple[int, int, int]:
    return round(numbers.min), round(numbers.median), round(numbers.max)


def _top(feature: Any) -> list[tuple[str, int]]:
    return [(top.value, round(top.frequency)) for top in feature.string_stats.top_values]
