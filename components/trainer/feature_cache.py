"""What the frozen trunk makes of each image, computed once and kept on disk in float16."""

import hashlib
import io
import logging
import os
import shutil
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from components import names
from components.files import remove_parts, replacing
from components.progress import bar
from components.trainer import frozen
from components.trainer.precision import arithmetic

SHARD = 64  # images a file; what an interruption can cost
_BATCH = 16
_MOST_AVERAGED = 20_000  # films, evenly spread: a covariance of 512 x 512 needs no more
_IN_USE = 24 * 3600.0  # seconds

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Features:
    """Trunk outputs on disk and the labels that belong to them, in the examples' order.

    Attributes:
        labels: int64[N].
        hashes: N SHA-256 digests, each of a prepared image and its label.
        shards: files of at most SHARD rows each, .npy of `hashes` and then `features`, float16.
        places: int64[N,2], in which shard and in which row of it an example's features are.
        shape: (h, w, C).
        seconds: what computing the missing rows took.
    """

    labels: np.ndarray
    hashes: tuple[bytes, ...]
    shards: tuple[Path, ...]
    places: np.ndarray
    shape: tuple[int, ...]
    seconds: float

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.labels)

    @property
    def digest(self) -> str:
        """SHA-256 over the examples, whatever order they came in."""
        return hashlib.sha256(b"".join(sorted(self.hashes))).hexdigest()

    def read(self, rows: np.ndarray) -> np.ndarray:
        """float16[n,h,w,C] of the given row numbers; mapped, so only these are read."""
        found = np.empty((len(rows), *self.shape), np.float16)
        shards, inside = self.places[rows].T
        for shard in np.unique(shards):
            here = shards == shard
            found[here] = _opened(self.shards[shard], "features")[inside[here]]
        return found

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All rows in the examples' order: (float16[n,h,w,C], int64[n]), n <= size."""
        return self._batches(size, np.arange(len(self)))

    def shuffled(self, size: int, seed: int, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All rows in an order that depends on seed, epoch and the set of images alone.

        Args:
            size: the largest batch.
            seed: of the order.
            epoch: its number.

        Yields:
            float16[n,h,w,C] and labels int64[n], n <= size.
        """
        canonical = sorted(range(len(self)), key=self.hashes.__getitem__)
        order = np.random.default_rng([seed, epoch]).permutation(canonical)
        return self._batches(size, order)

    def _batches(self, size: int, order: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            yield self.read(rows), self.labels[rows]


def compute(
    trunk: keras.Model,
    files: Sequence[str],
    folder: Path,
    name: str,
    precision: str = "float32",
) -> Features:
    """Computes the trunk's output for every example, or finds it where it was computed before.

    Each row tells its image, a shard's name its checksum, a folder's name the trunk's layers,
    weights and precision: an interrupted run goes on at the first row that is missing, films that
    join a data set cost their own rows alone, a damaged shard is computed again, and other data,
    weights or sizes never meet old features.

    Args:
        trunk: uint8[N,S,S,1] to float32[N,h,w,C].
        files: TFRecords of transformed examples (`image_png`, `label`), gzip where named .gz.
        folder: the cache.
        name: of the split, for the progress line.
        precision: of the trunk's multiplications, `int8`, `bfloat16` or `float32`.

    Raises:
        OSError: the disk has no room for the features.
        ValueError: there are no examples.
    """
    folder = folder / _key(trunk, precision)
    folder.mkdir(parents=True, exist_ok=True)
    remove_parts(folder)
    labels, hashes = _index(files)
    if not hashes:
        raise ValueError(f"the {name} split holds no examples; see the ingest report")
    shape = tuple(trunk.output_shape[1:])
    shards, places = _find(folder, hashes)
    missing = np.flatnonzero(places[:, 0] < 0)
    _check_room(folder, len(missing) * int(np.prod(shape)) * 2)
    with bar(f"features of {name}", len(missing)) as progress, arithmetic(precision):
        if len(missing):
            extract = _extractor(trunk, precision, folder, lambda: _some(files, hashes))
            for start, pngs in zip(
                range(0, len(missing), SHARD), _images(files, missing), strict=True
            ):
                rows = missing[start : start + SHARD]
                features = _extract(extract, pngs, progress)
                places[rows] = [(len(shards), inside) for inside in range(len(rows))]
                shards.append(_store(folder, [hashes[row] for row in rows], features))
        seconds = progress.format_dict["elapsed"] if len(missing) else 0.0
    return Features(labels, hashes, tuple(shards), places, shape, seconds)


def averages(split: Features) -> np.ndarray:
    """The trunk's outputs averaged over the film, float32[N,C]; N is at most 20,000."""
    rows = np.linspace(0, len(split) - 1, min(len(split), _MOST_AVERAGED)).astype(int)
    return np.concatenate(
        [
            split.read(rows[start : start + SHARD]).astype(np.float32).mean(axis=(1, 2))
            for start in range(0, len(rows), SHARD)
        ]
    )


def prune(folder: Path, limit: float) -> None:
    """Deletes the shards that were not used for longest until the rest is within a limit.

    A shard that was used during the last day stays, whatever the limit: somebody may be at it.

    Args:
        folder: the cache.
        limit: in bytes.
    """
    found = ((path, path.stat()) for path in folder.glob("*/*.npy"))
    used = sorted((told.st_mtime, told.st_size, path) for path, told in found)
    surplus = sum(size for _, size, _ in used) - limit
    for when, size, path in used:
        if surplus <= 0 or when > time.time() - _IN_USE:
            return
        path.unlink(missing_ok=True)
        surplus -= size


def _key(trunk: keras.Model, precision: str) -> str:
    digest = hashlib.sha256(f"by row {precision} {trunk.to_json()}".encode())
    for weight in trunk.get_weights():
        digest.update(weight.tobytes())
    return digest.hexdigest()[:16]


def _index(files: Sequence[str]) -> tuple[np.ndarray, tuple[bytes, ...]]:
    """Labels int64[N] and digests of all examples; the images are not kept."""
    labels: list[int] = []
    hashes: list[bytes] = []
    for chunk in _examples(files, SHARD):
        chunk_labels = chunk[names.LABEL].numpy().tolist()
        labels += chunk_labels
        hashes += [
            hashlib.sha256(b"%d" % label + png).digest()
            for label, png in zip(chunk_labels, chunk[names.IMAGE_PNG].numpy(), strict=True)
        ]
    return np.array(labels, np.int64), tuple(hashes)


def _examples(files: Sequence[str], size: int) -> Iterator[dict[str, tf.Tensor]]:
    """Chunks of `image_png` string[n] and `label` int64[n]."""
    spec = {
        names.IMAGE_PNG: tf.io.FixedLenFeature([], tf.string),
        names.LABEL: tf.io.FixedLenFeature([], tf.int64),
    }
    paths = sorted(path for pattern in files for path in tf.io.gfile.glob(pattern))
    if not paths:
        raise ValueError(f"no file matches {', '.join(files)}")
    compression = "GZIP" if paths[0].endswith(".gz") else ""
    records = tf.data.TFRecordDataset(paths, compression)
    yield from records.batch(size).map(lambda batch: tf.io.parse_example(batch, spec)).prefetch(1)


def _extractor(
    trunk: keras.Model, precision: str, folder: Path, films: Callable[[], Sequence[bytes]]
) -> frozen.Extract:
    if precision == frozen.INT8:
        return frozen.in_int8(trunk, folder.with_name(f"{folder.name}-trunk"), films)
    return frozen.in_tensorflow(trunk)


def _some(files: Sequence[str], hashes: Sequence[bytes]) -> list[bytes]:
    """Images spread over the split, the same ones in whatever order they come."""
    rows = sorted(range(len(hashes)), key=hashes.__getitem__)[: frozen.FILMS]
    return [png for chunk in _images(files, np.array(rows)) for png in chunk]


def _images(files: Sequence[str], rows: np.ndarray) -> Iterator[list[bytes]]:
    """Chunks of SHARD images each, in ascending order of the wanted rows."""
    wanted = set(rows.tolist())
    found: list[bytes] = []
    for number, chunk in enumerate(_examples(files, SHARD)):
        pngs = chunk[names.IMAGE_PNG].numpy()
        found += [png for row, png in enumerate(pngs, number * SHARD) if row in wanted]
        if len(found) >= SHARD:
            yield found[:SHARD]
            found = found[SHARD:]
    if found:
        yield found


def _extract(extract: frozen.Extract, pngs: Sequence[bytes], progress: tqdm) -> np.ndarray:
    parts = []
    for start in range(0, len(pngs), _BATCH):
        parts.append(extract(pngs[start : start + _BATCH]))
        progress.update(len(parts[-1]))
    return np.concatenate(parts)


def _store(folder: Path, hashes: Sequence[bytes], features: np.ndarray) -> Path:
    """Writes a shard: the hashes stand together at its head, as every search reads them."""
    joined = b"".join(hashes)
    digests = np.frombuffer(joined, np.uint8).reshape(len(hashes), -1)
    fields = {"hashes": digests, "features": features}
    shard = np.empty(1, [(name, field.dtype, field.shape) for name, field in fields.items()])
    for name, field in fields.items():
        shard[name] = field
    buffer = io.BytesIO()
    np.save(buffer, shard)
    content = buffer.getbuffer()
    path = folder / f"{hashlib.sha256(joined).hexdigest()}-{zlib.crc32(content):08x}.npy"
    with replacing(path) as file:
        file.write(content)
    return path


def _find(folder: Path, hashes: Sequence[bytes]) -> tuple[list[Path], np.ndarray]:
    """Shards that hold some of the rows, and where: int64[N,2], -1 for what none holds."""
    places = np.full((len(hashes), 2), -1)
    waiting: dict[bytes, list[int]] = defaultdict(list)
    for row, digest in enumerate(hashes):
        waiting[digest].append(row)
    shards: list[Path] = []
    for path in sorted(folder.glob("*-*.npy")):
        if not waiting:
            break
        held = [(row, digest) for row, digest in enumerate(_hashes(path)) if digest in waiting]
        if held and _intact(path):
            for row, digest in held:
                places[waiting.pop(digest, [])] = len(shards), row
            shards.append(path)
    return shards, places


def _opened(shard: Path, field: str) -> np.ndarray:
    """One of a shard's two fields, mapped: only what is taken of it is read."""
    return np.load(shard, mmap_mode="r")[field][0]


def _hashes(shard: Path) -> list[bytes]:
    """What a shard says it holds; nothing where its head is damaged."""
    try:
        return [digest.tobytes() for digest in _opened(shard, "hashes")]
    except (ValueError, IndexError, EOFError, OSError):
        _log.warning("%s is damaged; computing it again", shard)
        shard.unlink(missing_ok=True)
        return []


def _intact(shard: Path) -> bool:
    """Whether a shard's content still has the checksum in its name; else it is deleted."""
    if shard.stem.endswith(f"-{_checksum(shard):08x}"):
        # Not the access time: a search opens every shard, whether or not it finds anything there.
        os.utime(shard)
        return True
    _log.warning("%s is damaged; computing it again", shard)
    shard.unlink()
    return False


def _checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{folder}: the features need {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; "
            "make room or train on fewer images (data.limit_per_class)"
        )
