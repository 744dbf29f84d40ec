"""One data set with everything that may go wrong, ingested once."""

import logging
from pathlib import Path

import pytest

from tests.components.ingest import hostile_set
from tests.components.ingest.xray_sets import Ingested, ingest


@pytest.fixture(scope="session")
def hostile_folder(tmp_path_factory) -> Path:
    return hostile_set.make(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="session")
def hostile_log() -> list[str]:
    """Every line that any logger writes while the hostile set is ingested."""
    return []


@pytest.fixture(scope="session")
def hostile(hostile_folder, hostile_log, tmp_path_factory) -> Ingested:
    """The hostile set, ingested."""

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            hostile_log.append(record.getMessage())

    handler = Keep()
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        out = tmp_path_factory.mktemp("hostile-out")
        return ingest(hostile_folder, out, max_rejected=0.5, max_bytes=2**20)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
