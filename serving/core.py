"""What the server answers, whichever way it is asked: gRPC and REST call these."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from serving import example_apis, pictures, tensors
from serving.batching import Arrays, Batcher
from serving.errors import Code, ServingError, invalid_argument
from serving.manager import ModelManager, Version
from serving.metrics import Metrics
from serving.request_logging import RequestLogging
from serving.servable import DEFAULT_SIGNATURE, Servable

_IMAGE_SIGNATURE = "predict_image"
_NO_EXAMPLE = ("Could not parse example input", "is required but could not be found")
_QUOTED = 512  # characters


@dataclass(frozen=True)
class PredictResult:
    """A prediction's outputs, and the version and signature they come from."""

    version: int
    signature_name: str
    outputs: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Target:
    """One signature of one version, and the outputs wanted of it."""

    servable: Servable
    signature_name: str
    outputs: tuple[str, ...]

    def run(self, inputs: Arrays, timeout: float | None) -> dict[str, np.ndarray]:
        """Runs the signature, as `serving.batching.BatchTarget` says.

        Args:
            inputs: arrays by input name, N rows.
            timeout: seconds, or None.

        Returns:
            Arrays by output name, N rows.

        Raises:
            ServingError: TensorFlow's code and message.
        """
        return self.servable.run(self.signature_name, inputs, self.outputs, timeout)


class Core:
    """The answers. Every method raises ServingError for a request that it refuses."""

    def __init__(
        self, manager: ModelManager, batcher: Batcher, metrics: Metrics, logging: RequestLogging
    ) -> None:
        self._manager = manager
        self._batcher = batcher
        self._metrics = metrics
        self._logging = logging

    async def predict(
        self,
        spec: Any,
        read_inputs: Callable[[Any], Mapping[str, np.ndarray]],
        output_filter: Iterable[str],
        timeout: float | None,
        study: str = "",
    ) -> PredictResult:
        """Runs a signature.

        Args:
            spec: the ModelSpec: model, version or label, and signature.
            read_inputs: makes arrays by input name, N rows, of the SignatureDef; called in a
                thread, as tens of megabytes take their time.
            output_filter: names of the outputs to compute; empty: all.
            timeout: seconds, or None.
            study: the caller's hash of the study, 64 hexadecimal digits, for the request log; "":
                none.

        Returns:
            The outputs, N rows each, and what they come from.

        Raises:
            ServingError: the request is refused or has failed.
        """
        start = time.perf_counter()
        name = spec.signature_name or DEFAULT_SIGNATURE
        with self._leased(spec) as servable:
            signature = servable.signature(name)
            inputs = await asyncio.to_thread(_checked, read_inputs, signature)
            outputs = tensors.choose_outputs(signature, output_filter)
            target = Target(servable, name, outputs)
            logger = self._logging.sampled(servable.name)
            # While TensorFlow runs, so that nobody waits for it.
            films = logger and asyncio.create_task(asyncio.to_thread(logger.hashes, inputs))
            try:
                values = await _run(self._batcher, target, inputs, timeout)
            except ServingError as error:
                raise _with_hint(error, servable) from None
            if logger and films:
                latency = time.perf_counter() - start
                logger.put(servable, name, await films, values, latency, study)
            return PredictResult(servable.version, name, values)

    def metadata(self, request: Any) -> Any:
        """GetModelMetadata. (servables/tensorflow/get_model_metadata_impl.cc)"""
        _require_spec(request)
        if not request.metadata_field:
            raise invalid_argument(
                "GetModelMetadataRequest must specify at least one metadata_field"
            )
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid_argument(f"Metadata field {field} is not supported")
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        signatures = get_model_metadata_pb2.SignatureDefMap()
        with self._leased(request.model_spec) as servable:
            for name, signature in servable.signatures.items():
                signatures.signature_def[name].CopyFrom(signature)
            response.model_spec.name = servable.name
            response.model_spec.version.value = servable.version
        response.metadata["signature_def"].Pack(signatures)
        return response

    def status(self, request: Any) -> Any:
        """GetModelStatus. (model_servers/get_model_status_impl.cc)"""
        _require_spec(request)
        spec = request.model_spec
        number = spec.version.value if spec.HasField("version") else None
        response = get_model_status_pb2.GetModelStatusResponse()
        for version in self._manager.statuses(spec.name, number):
            _fill_status(response.model_version_status.add(), version)
        return response

    def classify(self, request: Any) -> Any:
        """Classify: always refused."""
        _require_spec(request)
        with self._leased(request.model_spec) as servable:
            raise example_apis.refuse_classify(servable, request.model_spec.signature_name)

    def regress(self, request: Any) -> Any:
        """Regress: always refused."""
        _require_spec(request)
        with self._leased(request.model_spec) as servable:
            raise example_apis.refuse_regress(servable, request.model_spec.signature_name)

    def multi_inference(self, request: Any) -> Any:
        """MultiInference: always refused."""
        if not request.tasks:
            raise invalid_argument("ModelSpec has no name specified.")
        with self._leased(request.tasks[0].model_spec) as servable:
            raise example_apis.refuse_multi_inference(servable, request.tasks)

    def reload(self, request: Any) -> Any:
        """HandleReloadConfigRequest; loads models, so not for the event loop's thread.

        (model_servers/model_service_impl.cc)
        """
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        self._manager.configure(request.config)

    def known(self, name: str) -> str:
        """The name if such a model is configured, else the empty string; for metrics."""
        return name if name in self._manager.ready() else ""

    @contextmanager
    def _leased(self, spec: Any) -> Iterator[Servable]:
        servable = self._manager.lease(spec)
        try:
            yield servable
        finally:
            servable.release()


def _checked(read_inputs: Callable[[Any], Arrays], signature: Any) -> Arrays:
    inputs = read_inputs(signature)
    pictures.check(inputs)
    return inputs


async def _run(
    batcher: Batcher,
    target: Target,
    inputs: Mapping[str, np.ndarray],
    timeout: float | None,
) -> dict[str, np.ndarray]:
    """Queues a prediction and waits for it; `timeout` in seconds.

    Cancelling the coroutine withdraws the request, if no thread has taken it yet. The version
    stays open until the request has left the queue and the session. Raises ServingError.
    """
    target.servable.retain()
    try:
        future = batcher.submit(target, inputs, timeout)
    except BaseException:
        target.servable.release()
        raise
    future.add_done_callback(lambda _: target.servable.release())
    return await asyncio.wrap_future(future)


def _with_hint(error: ServingError, servable: Servable) -> ServingError:
    """Helps who sends an image where a tf.Example is wanted; TensorFlow's words quote all of it."""
    no_example = any(words in error.message for words in _NO_EXAMPLE)
    if not no_example or error.code is not Code.INVALID_ARGUMENT:
        return error
    if _IMAGE_SIGNATURE not in servable.signatures:
        return error
    return invalid_argument(
        f"{error.message[:_QUOTED]}; the signature {_IMAGE_SIGNATURE} takes an image's own bytes"
    )


def _require_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")


def _fill_status(proto: Any, version: Version) -> None:
    proto.version = version.number
    proto.state = int(version.state)
    proto.status.SetInParent()
    if version.error:
        proto.status.error_code = version.error.number
        proto.status.error_message = version.error.message
