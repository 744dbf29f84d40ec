"""What a set is published in, unpacked: whole or not at all, whatever the archive holds."""

import tarfile
import zipfile

import numpy as np
import pytest

import cli
from components.ingest import listing
from components.ingest.entry import IngestError
from pipeline.datasets import archives
from pipeline.datasets.unpack import UnpackError
from tests.components.ingest import published_sets
from tests.components.ingest.xray_sets import write


def _archive(base, name: str):
    content = b"x"
    if name.endswith("zip"):
        with zipfile.ZipFile(base / name, "w") as archive:
            archive.writestr("NORMAL/a.png", content)
    elif name.endswith("npz"):
        np.savez(base / name, train_images=np.zeros((1, 2, 2), np.uint8))
    else:
        with tarfile.open(base / name, "w:gz") as archive:
            archive.addfile(tarfile.TarInfo("NORMAL/a.png"))
    return base / name


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.npz", "a.archive.zip"])
def test_an_archive_in_place_of_a_folder_is_answered_with_what_to_do(tmp_path, name):
    archive = _archive(tmp_path, name)
    with pytest.raises(IngestError, match=f"pneumonia data unpack {archive} FOLDER"):
        listing.entries(archive)


@pytest.mark.parametrize(
    "member",
    [
        tarfile.TarInfo("../outside"),
        tarfile.TarInfo("/absolute"),
        *(tarfile.TarInfo("NORMAL/link") for _ in range(2)),
    ],
)
def test_a_tar_that_leads_outside_leaves_nothing(tmp_path, member):
    if "link" in member.name:
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("NORMAL/a.png"))
        archive.addfile(member)
    with pytest.raises(UnpackError, match="refused"):
        archives.unpack(tmp_path / "bad.tar", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.tar"]


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.xz", ".tar.bz2", ".zip", ".npz"])
def test_a_damaged_archive_is_one_line_and_leaves_nothing(tmp_path, suffix):
    base, *_ = published_sets.with_masks(tmp_path / "set", 20)
    archive = tmp_path / f"set{suffix}"
    if suffix == ".npz":
        np.savez_compressed(archive, train_images=np.zeros((9, 28, 28), np.uint8))
    elif suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as content:
            for path in base.rglob("*.png"):
                content.write(path)
    else:
        with tarfile.open(archive, f"w:{suffix[5:]}") as content:
            content.add(base, ".")
    data = bytearray(archive.read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    archive.write_bytes(data)
    with pytest.raises(UnpackError) as caught:
        archives.unpack(archive, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    archive.write_bytes(data[: len(data) // 2])
    with pytest.raises(UnpackError):
        archives.unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    base, *_ = published_sets.with_masks(tmp_path / "set", 20)
    with tarfile.open(tmp_path / "set.tgz", "w:gz") as content:
        content.add(base, ".")
    np.savez_compressed(tmp_path / "set.npz", train_images=np.zeros((99, 28, 28), np.uint8))
    for name in ("set.tgz", "set.npz"):
        with pytest.raises(UnpackError, match="refused"):
            archives.unpack(tmp_path / name, tmp_path / "out", max_bytes=5000)


def test_an_npz_of_another_task_is_refused_with_what_it_must_hold(tmp_path):
    many = {"train_images": np.zeros((9, 28, 28), np.uint8), "train_labels": np.ones((9, 14))}
    np.savez(tmp_path / "chestmnist.npz", **many)
    with pytest.raises(UnpackError, match="train_labels 0 or 1"):
        archives.unpack(tmp_path / "chestmnist.npz", tmp_path / "out")


def test_a_run_on_an_archive_says_how_to_unpack_it_and_that_does(tmp_path, capsys):
    archive = _archive(tmp_path, "set.zip")
    assert cli.main(["run", "--data", str(archive)]) == 2
    said = capsys.readouterr().err
    command = said.strip().partition("unpack it first: ")[2].split()
    assert len(said.splitlines()) == 1
    out = tmp_path / "out"
    assert cli.main([*command[1:-1], str(out)]) == 0
    assert [path.name for path in out.rglob("*.png")] == ["a.png"]
    assert cli.main([*command[1:-1], str(out)]) == 1
    assert "holds something already" in capsys.readouterr().err
    for name, fault in (("no.zip", "No such file"), ("notes.txt", "neither zip, tar nor npz")):
        write(tmp_path, {"notes.txt": b"x"})
        assert cli.main(["data", "unpack", str(tmp_path / name), str(tmp_path / "new")]) == 1
        assert fault in capsys.readouterr().err
        assert not (tmp_path / "new").exists()
