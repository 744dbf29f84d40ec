"""Unpacks what a data set is published in: zip, tar (gzip, bzip2, xz) and MedMNIST's npz."""

import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components import names
from components.files import replacing_folder
from pipeline.datasets import unpack as zips
from pipeline.datasets.unpack import MAX_BYTES, MAX_FILES, UnpackError

_NPZ = ".npz"
_UNSOUND = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    ValueError,
)


def unpack(archive: Path, folder: Path, max_bytes: int = MAX_BYTES) -> None:
    """Unpacks an archive into a new folder, whole or not at all.

    Args:
        archive: a zip or tar archive, or arrays `train_images`, `train_labels` and so on in an npz
            as MedMNIST publishes them, which become PNG files.
        folder: where to; it must not hold anything.
        max_bytes: the most bytes it may unpack to.

    Raises:
        UnpackError: the archive is none of these, damaged, beyond the caps or leads outside, or the
            folder holds something.
        OSError: the disk refuses.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UnpackError(f"{folder}: holds something already; name a new folder")
    with replacing_folder(folder) as part:
        if archive.suffix.lower() == _NPZ:
            _unpack_arrays(archive, part, max_bytes)
        elif zipfile.is_zipfile(archive):
            zips.unpack(archive, part, lambda done, total: None, max_bytes)
        elif tarfile.is_tarfile(archive):
            _unpack_tar(archive, part, max_bytes)
        else:
            raise UnpackError(f"{archive}: neither zip, tar nor npz; unpack it with its own tool")


def _unpack_tar(archive: Path, folder: Path, max_bytes: int) -> None:
    """Writes the files member by member: a tar has no directory that could be checked before."""
    total = 0
    try:
        with tarfile.open(archive) as content:
            for number, member in enumerate(content):
                if member.isdir():
                    continue
                total += member.size
                if fault := _refused(member, number, total, max_bytes):
                    raise UnpackError(f"{archive}: refused, {member.name!r} {fault}")
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                source = content.extractfile(member)
                assert source is not None  # a regular file
                with source, target.open("xb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
            # Damage may look like the end: what comes after it is zeros, and has the right sum.
            while rest := content.fileobj.read(1 << 20):
                if rest.strip(b"\0"):
                    raise UnpackError(f"{archive}: damaged, it goes on after its end")
    except _UNSOUND as error:
        raise UnpackError(f"{archive}: not a sound tar archive ({error})") from error


def _refused(member: tarfile.TarInfo, number: int, total: int, max_bytes: int) -> str | None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        return "leads outside"
    if not member.isreg():
        return "is a link or a device"
    if total > max_bytes or number >= MAX_FILES:
        return f"is beyond {max_bytes:,} bytes or {MAX_FILES:,} files"
    return None


def _unpack_arrays(archive: Path, folder: Path, max_bytes: int) -> None:
    try:
        with zipfile.ZipFile(archive) as members:
            if sum(member.file_size for member in members.infolist()) > max_bytes:
                raise UnpackError(f"{archive}: refused, it unpacks to over {max_bytes:,} bytes")
        with np.load(archive, allow_pickle=False) as arrays:
            for split in names.SPLITS:
                if f"{split}_images" in arrays:
                    images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
                    for path, image in _films(archive, split, images, labels):
                        (folder / path).parent.mkdir(parents=True, exist_ok=True)
                        image.save(folder / path)
    except (*_UNSOUND, KeyError) as error:
        raise UnpackError(f"{archive}: not a set of MedMNIST's ({error})") from error
    if not any(folder.iterdir()):
        raise UnpackError(f"{archive}: holds no train_images, val_images or test_images")


def _films(
    archive: Path, split: str, images: NDArray, labels: NDArray
) -> Iterator[tuple[str, Image.Image]]:
    """The films' places below the set's folder, and their pixels."""
    is_binary = labels.size == len(images) and set(np.unique(labels)) <= {0, 1}
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not is_binary:
        raise UnpackError(
            f"{archive}: {split}_images must be uint8[N,rows,columns] and {split}_labels 0 or 1, "
            "as in pneumoniamnist"
        )
    for number, (image, label) in enumerate(zip(images, labels.ravel(), strict=True)):
        path = f"{split}/{names.CLASSES[label]}/{split}-{number:06d}.png"
        yield path, Image.fromarray(image)
