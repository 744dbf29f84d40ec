"""TensorFlow Serving's two gRPC services, over the answers in core.py."""

import asyncio
import time
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving import logs, tensors
from serving.core import Core
from serving.errors import Code, ServingError, invalid_argument
from serving.metrics import Metrics

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"

Context = Any  # grpc.aio.ServicerContext; grpcio ships no types
Answer = TypeVar("Answer")


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, GetModelMetadata, Classify, Regress and MultiInference."""

    def __init__(self, core: Core, metrics: Metrics, *, as_content: bool) -> None:
        """`as_content`: outputs go into `tensor_content` instead of the typed fields."""
        self._core = core
        self._metrics = metrics
        self._as_content = as_content

    async def Predict(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Runs a signature on the request's tensors."""
        return await self._counted(self._predict(request, context), "Predict", request, context)

    async def GetModelMetadata(self, request: Any, context: Context) -> Any:  # noqa: N802
        """The signatures of a version."""
        return await _answered(_now(self._core.metadata, request), "GetModelMetadata", context)

    async def Classify(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Refused: no signature is made for it."""
        answer = _now(self._core.classify, request)
        return await self._counted(answer, "Classify", request, context)

    async def Regress(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Refused: no signature is made for it."""
        answer = _now(self._core.regress, request)
        return await self._counted(answer, "Regress", request, context)

    async def MultiInference(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Refused: no signature is made for it."""
        return await _answered(_now(self._core.multi_inference, request), "MultiInference", context)

    async def _counted(
        self, answer: Awaitable[Answer], api: str, request: Any, context: Context
    ) -> Answer:
        model = request.model_spec.name

        async def counted() -> Answer:
            with self._metrics.request(lambda: self._core.known(model), api, "GRPC"):
                return await answer

        return await _answered(counted(), api, context)

    async def _predict(self, request: Any, context: Context) -> Any:
        if not request.HasField("model_spec"):
            raise invalid_argument("Missing ModelSpec")
        prediction = await self._core.predict(
            request.model_spec,
            lambda signature: tensors.read_inputs(signature, request.inputs),
            request.output_filter,
            context.time_remaining(),
        )
        response = predict_pb2.PredictResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.signature_name = prediction.signature_name
        response.model_spec.version.value = prediction.version
        for alias, array in prediction.outputs.items():
            tensors.write_output(array, response.outputs[alias], as_content=self._as_content)
        return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, core: Core) -> None:
        self._core = core
        # A reload waits for models to load; predictions need asyncio's own threads meanwhile.
        self._reloads = ThreadPoolExecutor(1, "reload")

    async def GetModelStatus(self, request: Any, context: Context) -> Any:  # noqa: N802
        """The state of every version of a model, or of one."""
        return await _answered(_now(self._core.status, request), "GetModelStatus", context)

    async def HandleReloadConfigRequest(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Replaces the list of models that are served."""
        loop = asyncio.get_running_loop()
        answer = loop.run_in_executor(self._reloads, self._core.reload, request)
        await _answered(answer, "HandleReloadConfigRequest", context)
        return model_management_pb2.ReloadConfigResponse()


class MalformedRequests(grpc.aio.ServerInterceptor):
    """Answers bytes that are no message as gRPC's C++ library does; grpcio logs a traceback."""

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        """Wraps a unary method's handler; health's Watch and reflection's stream stay theirs."""
        handler = await continuation(details)
        if handler is None or not handler.unary_unary:
            return handler

        def deserialize(data: bytes) -> Any:
            try:
                return handler.request_deserializer(data)
            except DecodeError:
                return None

        async def behaviour(request: Any, context: Context) -> Any:
            if request is None:
                await context.abort(Code.INTERNAL, "The request cannot be parsed")
            return await handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(
            behaviour, deserialize, handler.response_serializer
        )


async def _now(function: Any, request: Any) -> Any:
    return function(request)


async def _answered(answer: Awaitable[Answer], method: str, context: Context) -> Answer:
    """Awaits an answer; an error becomes the call's status and, in the log, its code."""
    start = time.perf_counter()
    try:
        return await answer
    except ServingError as error:
        status = error
    except Exception:
        logs.event("request broke", level=40, error=True, method=method)
        status = ServingError(Code.INTERNAL, "Internal error")
    milliseconds = round(1000 * (time.perf_counter() - start), 1)
    logs.event("request failed", method=method, code=status.code.name, milliseconds=milliseconds)
    await context.abort(status.code, status.short_message)
    raise AssertionError("abort raises")
