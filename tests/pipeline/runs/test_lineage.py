"""A run's database after a kill or a disk's fault."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.runs import lineage
from pipeline.runs.folder import RunFolderError

AMID_A_TRANSACTION = """
import os, signal, sqlite3, sys
file = sqlite3.connect(sys.argv[1])
file.execute("PRAGMA cache_size = 1")  # so that it writes before it commits
file.execute("BEGIN")
file.executemany("UPDATE Type SET name = ? WHERE id = ?", [("x" * 5000, id) for id in range(9)])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_kill_left_half_written_is_taken_back(tmp_path: Path) -> None:
    database = tmp_path / "metadata.db"
    names = {kind.name for kind in lineage.open_store(database).get_artifact_types()}
    subprocess.run([sys.executable, "-c", AMID_A_TRANSACTION, database], check=False)
    assert database.with_name("metadata.db-journal").stat().st_size
    found = {kind.name for kind in lineage.open_store(database).get_artifact_types()}
    assert found == names


def test_a_damaged_database_is_said_with_what_to_do(tmp_path: Path) -> None:
    database = tmp_path / "metadata.db"
    lineage.open_store(database)
    content = bytearray(database.read_bytes())
    content[len(content) // 2 :] = b"\x5a" * (len(content) - len(content) // 2)
    database.write_bytes(content)
    with pytest.raises(RunFolderError, match=r"is damaged .* put a copy back, or 'rm -r "):
        lineage.open_store(database)
