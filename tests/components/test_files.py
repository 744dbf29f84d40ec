"""A file is whole or absent, whatever happens while it is written."""

from pathlib import Path

import pytest

from components.files import remove_parts, replacing


def test_the_new_content_takes_the_old_ones_place(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    for content in (b"old", b"new"):
        with replacing(path) as file:
            file.write(content)
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_keeps_the_old_content_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), replacing(path) as file:
        file.writelines([b"half", "not bytes"])  # type: ignore[list-item]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_removed_and_finished_files_stay(tmp_path: Path) -> None:
    (tmp_path / "shard.npy.123.part").write_bytes(b"half")
    (tmp_path / "shard.npy").write_bytes(b"whole")
    remove_parts(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["shard.npy"]
