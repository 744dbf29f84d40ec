"""A version whose network OpenVINO computes, with int8 multiplications; TensorFlow does the rest.

The files come with the version (`components.quantiser` makes them), and so do the signatures that
are what comes before the network and after it.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from serving import runtime
from serving.errors import Code, ServingError
from serving.servable import DEFAULT_SIGNATURE, Servable

NETWORK: Final = Path("assets.extra", "int8", "network.xml")  # beside it network.bin
_IMAGES: Final = "image_bytes"
_GREY: Final = "grey"
_SIGNATURES: Final = (DEFAULT_SIGNATURE, "predict_image", "cam")
_SLICE: Final = 16  # films in memory at a time, whatever the request

Arrays = Mapping[str, np.ndarray]


class Int8Network:
    """The network from prepared films to what the signature `conclude` makes answers of.

    Several films go each to a core of its own, a lone one to all cores. Calls from several threads
    take turns. What is not int8 is computed in `rest`, f32 or bf16.

    Args:
        path: OpenVINO's network.xml.
        threads: how many it may take; 0: as many as there are processors.

    Raises:
        ServingError: INTERNAL, the file is damaged.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        import openvino

        try:
            core = openvino.Core()
            fast = runtime.has_bfloat16() and _proven_in_bfloat16(path)
            self.rest = "bf16" if fast else "f32"
            model = core.read_model(str(path))
            model.reshape([1, *(side.get_length() for side in model.input(0).partial_shape[1:])])
            self._names = [output.any_name for output in model.outputs]
            alone, side_by_side = (
                core.compile_model(
                    model,
                    "CPU",
                    {
                        "INFERENCE_PRECISION_HINT": self.rest,
                        "PERFORMANCE_HINT": hint,
                        "INFERENCE_NUM_THREADS": threads,
                    },
                )
                for hint in ("LATENCY", "THROUGHPUT")
            )
        except (RuntimeError, ValueError) as error:
            cause = str(error).strip().splitlines()[-1]
            raise ServingError(Code.INTERNAL, f"{path}: OpenVINO cannot load it: {cause}") from None
        self._alone = alone.create_infer_request()
        self._side_by_side = openvino.AsyncInferQueue(side_by_side)
        self._side_by_side.set_callback(self._keep)
        self._lock = threading.Lock()

    def __call__(self, films: np.ndarray) -> dict[str, np.ndarray]:
        """Computes what the network sees.

        Args:
            films: uint8[N,S,S,1], N at least 1.

        Returns:
            By the names of the network's outputs, N rows each.
        """
        with self._lock:
            rows: list[tuple[np.ndarray, ...]] = [()] * len(films)
            if len(films) == 1:
                self._alone.infer([films])
                self._keep(self._alone, (rows, 0))
            else:
                for place in range(len(films)):
                    self._side_by_side.start_async([films[place : place + 1]], (rows, place))
                self._side_by_side.wait_all()
        columns = (np.concatenate(column) for column in zip(*rows, strict=True))
        return dict(zip(self._names, columns, strict=True))

    def _keep(self, request: Any, place: tuple[list[tuple[np.ndarray, ...]], int]) -> None:
        rows, row = place
        rows[row] = tuple(tensor.data.copy() for tensor in request.output_tensors)


class Int8Servable(Servable):
    """A loaded SavedModel whose three signatures for films take the network from OpenVINO."""

    def __init__(self, *loaded: Any, network: Int8Network) -> None:
        super().__init__(*loaded)
        self._network = network

    def _compute(
        self, signature_name: str, inputs: Arrays, outputs: Sequence[str], timeout: float | None
    ) -> dict[str, np.ndarray]:
        """As Servable's, SLICE films after another."""
        given = next(iter(inputs.values()))
        if signature_name not in _SIGNATURES or given.ndim != 1 or not len(given):
            return super()._compute(signature_name, inputs, outputs, timeout)
        end = None if timeout is None else time.monotonic() + timeout

        def tensorflow(name: str, values: Arrays, wanted: Sequence[str]) -> dict[str, np.ndarray]:
            return super(Int8Servable, self)._compute(name, values, wanted, _left(end))

        images = given
        if signature_name == DEFAULT_SIGNATURE:
            images = tensorflow("parse", inputs, (_IMAGES,))[_IMAGES]
        parts = []
        for start in range(0, len(images), _SLICE):
            part = {_IMAGES: images[start : start + _SLICE]}
            grey = tensorflow("prepare", part, (_GREY,))
            seen = self._network(grey[_GREY])
            parts.append(tensorflow("conclude", {**part, **grey, **seen}, outputs))
        return {name: np.concatenate([part[name] for part in parts]) for name in outputs}


def kind(path: Path, threads: int) -> Callable[..., Servable]:
    """Makes what `servable.load` makes of a version that has an int8 form.

    Args:
        path: the version's folder.
        threads: as of Int8Network.

    Returns:
        Int8Servable with its network, to be called with Servable's arguments.

    Raises:
        ServingError: NOT_FOUND, the version has no such form; INTERNAL, its files are damaged.
    """
    if not (path / NETWORK).is_file():
        raise ServingError(Code.NOT_FOUND, f"{NETWORK.parent} is not among the version's files")
    network = Int8Network(path / NETWORK, threads)
    return lambda *loaded: Int8Servable(*loaded, network=network)


def _proven_in_bfloat16(path: Path) -> bool:
    proof = path.with_name("int8.json")
    return proof.is_file() and json.loads(proof.read_bytes()).get("bfloat16", False)


def _left(end: float | None) -> float | None:
    """Seconds until a deadline of time.monotonic(); raises ServingError where it has passed."""
    if end is None:
        return None
    if (left := end - time.monotonic()) <= 0:
        raise ServingError(Code.DEADLINE_EXCEEDED, "Deadline exceeded between two films")
    return left
