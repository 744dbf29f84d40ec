"""One version of a model in memory: its signatures, how it runs, and when it may be closed."""

import gc
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving.errors import Code, ServingError, code_of, invalid_argument

DEFAULT_SIGNATURE = "serving_default"
# TensorFlow has no other way to say which kinds of operations its rewrite to bfloat16 leaves alone.
_KEPT_IN_FLOAT32 = "TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_ALLOWLIST_REMOVE"


@dataclass(frozen=True)
class SessionOptions:
    """How TensorFlow runs a version; 0 threads means as many as there are processors.

    `bfloat16` lets oneDNN convolve in bfloat16 and add up in float32; all else, and all that goes
    in and out, stays as it is.
    """

    tags: tuple[str, ...] = ("serve",)
    intra_op_threads: int = 0
    inter_op_threads: int = 0
    bfloat16: bool = False


class SignatureNotFoundError(ServingError):
    """A signature that the model does not have."""

    def __init__(self, name: str) -> None:
        # servables/tensorflow/predict_util.cc, RunPredict
        super().__init__(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        self.name = name


class Servable:
    """A loaded SavedModel, run through a session as TensorFlow Serving runs it.

    A session, unlike `tf.saved_model.load`, gives its memory back when it is closed, stops at a
    deadline, and needs a fraction of TensorFlow's import time. Calls may come from many threads.
    """

    def __init__(
        self,
        name: str,
        version: int,
        session: Any,
        meta_graph: Any,
        apart: Mapping[str, str],
        observe: Callable[[str, float], None],
    ) -> None:
        self.name = name
        self.version = version
        self.signatures: Mapping[str, Any] = dict(meta_graph.signature_def)
        self._session = session
        self._apart = apart
        self._observe = observe
        self._leases = 0
        self._idle = threading.Condition()

    def signature(self, name: str) -> Any:
        """The SignatureDef of that name (empty: the default one).

        Raises SignatureNotFoundError.
        """
        name = name or DEFAULT_SIGNATURE
        if name not in self.signatures:
            raise SignatureNotFoundError(name)
        return self.signatures[name]

    def run(
        self,
        signature_name: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str],
        timeout: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Runs one signature.

        Args:
            signature_name: one of `signatures`.
            inputs: arrays by input name, in the signature's types, N rows each.
            outputs: names of the outputs to compute.
            timeout: seconds, or None.

        Returns:
            The arrays by output name, N rows each.

        Raises:
            ServingError: TensorFlow's code and message.
        """
        start = time.perf_counter()
        values = self._compute(signature_name, inputs, outputs, timeout)
        self._observe(self.name, time.perf_counter() - start)
        return values

    def _compute(
        self,
        signature_name: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str],
        timeout: float | None,
    ) -> dict[str, np.ndarray]:
        from tensorflow.core.protobuf import config_pb2
        from tensorflow.python.framework import errors_impl

        signature = self.signatures[signature_name]
        feeds = {signature.inputs[alias].name: value for alias, value in inputs.items()}
        fetches = [signature.outputs[alias].name for alias in outputs]
        if len(outputs) < len(signature.outputs):
            fetches = [self._apart.get(name, name) for name in fetches]
        options = None
        if timeout is not None:
            options = config_pb2.RunOptions(timeout_in_ms=max(1, int(timeout * 1000)))
        try:
            values = self._session.run(fetches, feeds, options=options)
        except errors_impl.OpError as error:
            message = error.message.removeprefix("Graph execution error:").strip()
            raise ServingError(code_of(error.error_code), message) from None
        except UnicodeDecodeError as error:  # TensorFlow's message quotes bytes that are no text
            raise invalid_argument(error.object.decode("utf-8", "backslashreplace")) from None
        except (TypeError, ValueError) as error:
            raise invalid_argument(str(error)) from None
        return dict(zip(outputs, values, strict=True))

    def retain(self) -> None:
        """Keeps the version open until the matching `release`."""
        with self._idle:
            self._leases += 1

    def release(self) -> None:
        """Ends one `retain`."""
        with self._idle:
            self._leases -= 1
            self._idle.notify_all()

    def close(self) -> None:
        """Waits for the requests in flight, then frees the version's memory."""
        with self._idle:
            self._idle.wait_for(lambda: self._leases == 0)
        self._session.close()
        self._session = None
        gc.collect()  # a TensorFlow graph holds reference cycles


def load(
    name: str,
    version: int,
    path: Path,
    options: SessionOptions = SessionOptions(),
    observe: Callable[[str, float], None] = lambda model, seconds: None,
    kind: Callable[..., Servable] = Servable,
) -> Servable:
    """Loads a SavedModel, variables restored and initialisers run.

    Args:
        name: the model's.
        version: its number.
        path: the version's folder.
        options: how TensorFlow runs it.
        observe: is told the model's name and the seconds that each run takes.
        kind: makes the Servable, of its own arguments.

    Returns:
        The model, ready to run.

    Raises:
        ServingError: it cannot be loaded: a missing or truncated file, an operator that this
            TensorFlow does not know; with TensorFlow's code where it gave one, else INTERNAL.
    """
    from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
    from tensorflow.python.client import session as tf_session
    from tensorflow.python.framework import errors_impl, ops
    from tensorflow.python.saved_model import loader_impl

    graph = ops.Graph()
    config = config_pb2.ConfigProto(
        intra_op_parallelism_threads=options.intra_op_threads,
        inter_op_parallelism_threads=options.inter_op_threads,
    )
    if options.bfloat16:
        rewrites = config.graph_options.rewrite_options
        rewrites.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
        # A head's products nearly cancel each other: in bfloat16 they moved a probability by 0.07.
        os.environ[_KEPT_IN_FLOAT32] = "MatMul"
    session = tf_session.Session(graph=graph, config=config)
    try:
        with graph.as_default():
            meta_graph = loader_impl.SavedModelLoader(str(path)).load(session, list(options.tags))
            apart = _apart(graph, meta_graph.signature_def.values())
    except errors_impl.OpError as error:
        session.close()
        raise ServingError(code_of(error.error_code), error.message) from error
    except Exception as error:  # the loader raises whatever a damaged file makes it stumble over
        session.close()
        raise ServingError(Code.INTERNAL, f"{type(error).__name__}: {error}") from error
    return kind(name, version, session, meta_graph, apart, observe)


def _apart(graph: Any, signatures: Iterable[Any]) -> dict[str, str]:
    """For the name of an output, that of the same which is computed without its neighbours.

    A function whose outputs are fetched runs as a whole; behind an identity TensorFlow takes it
    apart, and leaves out what nobody fetches.
    """
    from tensorflow.python.ops import array_ops

    found: dict[str, str] = {}
    for name in {output.name for one in signatures for output in one.outputs.values()}:
        with suppress(KeyError, ValueError):  # a damaged model's, which fails when it is run
            found[name] = array_ops.identity(graph.get_tensor_by_name(name)).name
    return found
