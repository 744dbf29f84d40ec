"""One request and its answer as a PredictionLog, and back to films.

The pixels stay out unless they are asked for: an input of bytes is kept as its SHA-256. Of the
answer, what is a number or a short row of them is kept; heat maps and pictures are not.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from client import contract, tensors
from client.protos import PredictionLog

SHA256: Final = "sha256"  # of each film, hexadecimal
INSTANCE: Final = "instance"  # SHA-256 of a DICOM's SOP Instance UID
STUDY: Final = "study"  # the caller's hash of the study
TIME: Final = "time"  # unix seconds
LATENCY: Final = "latency"  # seconds
_LONGEST: Final = 4096  # values of a row: features are kept, heat maps are not


@dataclass(frozen=True)
class Record:
    """One request and its answer.

    Attributes:
        time: when it was asked, unix seconds.
        model, version, signature: who answered.
        hashes: SHA-256 of each film's bytes, hexadecimal.
        outputs: the answer's tensors by name, N rows each.
        latency: seconds from request to answer.
        instance, study: hashes that the caller gives; "" for none.
        rate: the share of requests that is logged, in (0,1].
        pixels: the films themselves, where they are to be kept.
    """

    time: float
    model: str
    version: int
    signature: str
    hashes: Sequence[str]
    outputs: Mapping[str, np.ndarray]
    latency: float
    instance: str = ""
    study: str = ""
    rate: float = 1.0
    pixels: Sequence[bytes] = field(default=(), repr=False)


@dataclass(frozen=True)
class Film:
    """One film of a record; `outputs` holds its row of each tensor."""

    time: float
    version: int
    sha256: str
    outputs: Mapping[str, np.ndarray]
    latency: float
    instance: str = ""
    study: str = ""
    pixels: bytes | None = field(default=None, repr=False)

    @property
    def probability(self) -> float:
        """Of pneumonia; nan where the answer told none."""
        return float(self.outputs.get(contract.PROBABILITY, np.nan))

    @property
    def called(self) -> bool:
        """Whether the model decided for pneumonia."""
        return bool(self.outputs.get(contract.LABEL, 0) == 1)


def digest(content: bytes | str) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def encode(record: Record) -> bytes:
    """The PredictionLog."""
    log = PredictionLog()
    metadata = log.log_metadata
    for spec in (metadata.model_spec, log.predict_log.request.model_spec):
        spec.name, spec.signature_name = record.model, record.signature
        spec.version.value = record.version
    metadata.sampling_config.sampling_rate = record.rate
    count = len(record.hashes)
    inputs, outputs = log.predict_log.request.inputs, log.predict_log.response.outputs
    inputs[SHA256].CopyFrom(tensors.from_bytes([value.encode() for value in record.hashes]))
    inputs[TIME].CopyFrom(tensors.from_numpy(np.full(count, record.time)))
    for name, value in ((INSTANCE, record.instance), (STUDY, record.study)):
        if value:
            inputs[name].CopyFrom(tensors.from_bytes([value.encode()] * count))
    if record.pixels:
        inputs[contract.IMAGE_BYTES].CopyFrom(tensors.from_bytes(list(record.pixels)))
    for name, array in record.outputs.items():
        if array.dtype.kind in "fi" and len(array) == count and array[:1].size <= _LONGEST:
            outputs[name].CopyFrom(tensors.from_numpy(array))
    outputs[LATENCY].CopyFrom(tensors.from_numpy(np.full(count, record.latency, np.float32)))
    return log.SerializeToString()


def films(serialized: bytes) -> Iterator[Film]:
    """The films of a PredictionLog.

    Raises:
        tensors.TensorError, google.protobuf.message.DecodeError: it is none of ours.
    """
    log = PredictionLog.FromString(serialized).predict_log
    given = {name: tensors.to_numpy(tensor) for name, tensor in log.request.inputs.items()}
    said = {name: tensors.to_numpy(tensor) for name, tensor in log.response.outputs.items()}
    latency = said.pop(LATENCY, None)
    for row, sha256 in enumerate(given.get(SHA256, ())):
        yield Film(
            time=float(given[TIME][row]),
            version=log.request.model_spec.version.value,
            sha256=sha256.decode(),
            outputs={name: array[row] for name, array in said.items()},
            latency=float(latency[row]) if latency is not None else np.nan,
            instance=_text(given.get(INSTANCE), row),
            study=_text(given.get(STUDY), row),
            pixels=given[contract.IMAGE_BYTES][row] if contract.IMAGE_BYTES in given else None,
        )


def _text(array: np.ndarray | None, row: int) -> str:
    return "" if array is None else array[row].decode()
