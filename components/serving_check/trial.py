"""Tries a model in a server and compares its answers with the evaluated ones."""

import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc
import numpy as np
import tensorflow as tf

from client import protos, tensors
from client.exchange import Methods
from components import names
from components.serving_check import model_server

TOLERANCE: Final = 1e-5  # between a served probability and the evaluated one
_CALL_SECONDS: Final = 120
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_DECISION: Final = (names.PROBABILITY, names.THRESHOLD, names.LABEL)

Outputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class TrialFindings:
    """What came of the trial.

    Attributes:
        ok: whether the model may be served.
        summary: one line for the gate's table.
        faults: all that was wrong.
        examples: how many films were asked.
        largest_difference: between a served and an evaluated probability.
        latency_ms: the median of single requests in milliseconds, by signature.
        startup_seconds: until the model was served.
    """

    ok: bool
    summary: str
    faults: list[str]
    examples: int
    largest_difference: float | None = None
    latency_ms: dict[str, float] = field(default_factory=dict)
    startup_seconds: float | None = None


def check(saved_model: Path, examples: Sequence[bytes], log: Path) -> TrialFindings:
    """Serves the SavedModel, asks all three signatures, and compares with a direct call of it.

    The server replays the model's warm-up requests before it is ready.

    Args:
        saved_model: the SavedModel's folder.
        examples: serialized tf.Examples with `image/encoded`.
        log: file for what the server prints.

    Returns:
        What was found; faults of model or server are in it and raise nothing.
    """
    try:
        expected = _call_directly(saved_model, examples)
        began = time.monotonic()
        with model_server.serving(saved_model, log) as methods:
            startup = time.monotonic() - began
            answers = list(_ask(methods, examples))
    except model_server.ModelServerError as error:
        return _refused([str(error)], len(examples))
    except grpc.RpcError as error:
        return _refused([f"a request failed: {' '.join(error.details().split())}"], len(examples))
    except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
        return _refused([f"cannot be called: {' '.join(str(error).split())}"], len(examples))
    faults = [
        f"{answer.signature}: {fault}"
        for answer in answers
        for fault in _faults(answer, {name: v[answer.rows] for name, v in expected.items()})
    ]
    if faults:
        return _refused(faults, len(examples))
    latency = {
        signature: 1000 * statistics.median(a.seconds for a in answers if a.signature == signature)
        for signature in (names.PREDICT_IMAGE, names.CAM)
    }
    return TrialFindings(
        ok=True,
        summary=f"{len(examples)} X-rays as evaluated; "
        f"{latency[names.PREDICT_IMAGE]:.0f} ms each, {latency[names.CAM]:.0f} ms with map",
        faults=[],
        examples=len(examples),
        largest_difference=max(
            _difference(answer.outputs, expected[names.PROBABILITY][answer.rows])
            for answer in answers
        ),
        latency_ms=latency,
        startup_seconds=startup,
    )


def _refused(faults: list[str], examples: int) -> TrialFindings:
    return TrialFindings(ok=False, summary=faults[0], faults=faults, examples=examples)


@dataclass(frozen=True)
class _Answer:
    signature: str
    rows: slice  # the examples that were asked about
    outputs: Outputs
    seconds: float


def _call_directly(saved_model: Path, examples: Sequence[bytes]) -> Outputs:
    """Calls what TFMA evaluated: `serving_default` of the SavedModel itself."""
    signature = tf.saved_model.load(str(saved_model)).signatures[names.SERVING_DEFAULT]
    outputs = signature(**{names.EXAMPLES: tf.constant(list(examples))})
    return {name: outputs[name].numpy() for name in _DECISION}


def _ask(methods: Methods, examples: Sequence[bytes]) -> Iterator[_Answer]:
    """Asks all examples at once by `serving_default`, then each image alone by the other two."""
    every = slice(0, len(examples))
    yield _predict(methods, names.SERVING_DEFAULT, names.EXAMPLES, examples, every)
    images = [
        tf.train.Example.FromString(example).features.feature[names.IMAGE].bytes_list.value[0]
        for example in examples
    ]
    for signature in (names.PREDICT_IMAGE, names.CAM):
        for row, image in enumerate(images):
            alone = slice(row, row + 1)
            yield _predict(methods, signature, names.IMAGE_BYTES, [image], alone)


def _predict(
    methods: Methods, signature: str, name: str, values: Iterable[bytes], rows: slice
) -> _Answer:
    request = protos.PredictRequest()
    request.model_spec.name = names.MODEL_NAME
    request.model_spec.signature_name = signature
    request.inputs[name].CopyFrom(tensors.from_bytes(list(values)))
    began = time.perf_counter()
    response = methods.predict(request, timeout=_CALL_SECONDS)
    seconds = time.perf_counter() - began
    outputs = {key: tensors.to_numpy(value) for key, value in response.outputs.items()}
    return _Answer(signature, rows, outputs, seconds)


def _faults(answer: _Answer, expected: Outputs) -> Iterator[str]:
    """Says where an answer is not what was evaluated, or not what the contract says."""
    outputs, rows = answer.outputs, len(expected[names.PROBABILITY])
    missing = [name for name in _DECISION if name not in outputs or outputs[name].shape != (rows,)]
    if missing:
        yield f"{', '.join(missing)}: not one value a row"
        return
    difference = _difference(outputs, expected[names.PROBABILITY])
    if not difference <= TOLERANCE:
        yield f"a probability is off by {difference:.2g} from the evaluated one"
    if not np.array_equal(outputs[names.THRESHOLD], expected[names.THRESHOLD]):
        yield "the threshold is not the evaluated one"
    decided = outputs[names.PROBABILITY] >= outputs[names.THRESHOLD]
    if not np.array_equal(outputs[names.LABEL], decided):
        yield "a label is not probability >= threshold"
    if answer.signature == names.CAM:
        yield from _map_faults(outputs, rows)


def _map_faults(outputs: Outputs, rows: int) -> Iterator[str]:
    maps = {"heat map": outputs.get(names.HEATMAP, np.empty(0))}
    if names.LUNGS in outputs:  # versions of before do not give them
        maps["lung field"] = outputs[names.LUNGS]
    for kind, values in maps.items():
        if values.ndim != 3 or len(values) != rows:
            yield f"the {kind} has the shape {values.shape}"
        elif not (values.min() >= 0 and values.max() <= 1):
            yield f"the {kind} leaves [0, 1]"
    overlays = outputs.get(names.OVERLAY, np.empty(0))
    if len(overlays) != rows or not all(overlay.startswith(_PNG) for overlay in overlays):
        yield "the overlay is not one PNG a row"


def _difference(outputs: Outputs, expected: np.ndarray) -> float:
    return float(np.max(np.abs(outputs[names.PROBABILITY] - expected)))
