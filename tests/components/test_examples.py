"""A split is read back as it was written, or the file that is damaged is named."""

import gzip
from pathlib import Path

import pytest

from client.request_log.tfrecord import framed
from components.examples import Split

RECORDS = [bytes([number]) * 5000 for number in range(20)]


def write(folder: Path, damage: bool) -> Path:
    whole = b"".join(map(framed, RECORDS[10:]))
    torn = whole[:7000] + b"\0" + whole[7001:] if damage else whole
    folder.joinpath("a.gz").write_bytes(gzip.compress(b"".join(map(framed, RECORDS[:10]))))
    folder.joinpath("b.gz").write_bytes(gzip.compress(torn))
    return folder


def test_every_reading_gives_the_same_order(tmp_path: Path) -> None:
    split = Split(write(tmp_path, damage=False))
    assert list(split.records()) == list(split.records()) == RECORDS


@pytest.mark.parametrize("cut", [False, True])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path, cut: bool) -> None:
    split = Split(write(tmp_path, damage=not cut))
    if cut:
        file = tmp_path / "b.gz"
        file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(OSError, match=r"b\.gz: is damaged \(.+\); start a new run$"):
        list(split.records())
