"""TensorFlow Serving's two gRPC services, over the answers in core.py."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving import logs, tensors, wire
from serving.core import Core
from serving.errors import Code, ServingError, invalid_argument
from serving.intake import Intake
from serving.metrics import Metrics
from serving.request_logging import STUDY

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"

Context = Any  # grpc.aio.ServicerContext; grpcio ships no types
Answer = TypeVar("Answer")


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, GetModelMetadata, Classify, Regress and MultiInference.

    Args:
        core: makes the answers.
        metrics: counts them.
        as_content: writes outputs into `tensor_content` instead of the typed fields.
    """

    def __init__(self, core: Core, metrics: Metrics, *, as_content: bool) -> None:
        self._core = core
        self._metrics = metrics
        self._as_content = as_content

    async def Predict(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Runs a signature on the request's tensors."""
        model, answer = request.model_spec.name, self._predict(request, context)
        del request
        return await self._counted(answer, "Predict", model, context)

    async def GetModelMetadata(self, request: Any, context: Context) -> Any:  # noqa: N802
        """The signatures of a version."""
        return await _answered(_now(self._core.metadata, request), "GetModelMetadata", context)

    async def Classify(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Refused: no signature is made for it."""
        answer = _now(self._core.classify, request)
        return await self._counted(answer, "Classify", request.model_spec.name, context)

    async def Regress(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Refused: no signature is made for it."""
        answer = _now(self._core.regress, request)
        return await self._counted(answer, "Regress", request.model_spec.name, context)

    async def MultiInference(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Refused: no signature is made for it."""
        return await _answered(_now(self._core.multi_inference, request), "MultiInference", context)

    async def _counted(
        self, answer: Awaitable[Answer], api: str, model: str, context: Context
    ) -> Answer:
        async def counted() -> Answer:
            with self._metrics.request(lambda: self._core.known(model), api, "GRPC"):
                return await answer

        return await _answered(counted(), api, context)

    async def _predict(self, request: Any, context: Context) -> Any:
        if not request.HasField("model_spec"):
            raise invalid_argument("Missing ModelSpec")
        spec = model_pb2.ModelSpec()
        spec.CopyFrom(request.model_spec)
        outputs = list(request.output_filter)

        def read_inputs(signature: Any) -> Any:
            nonlocal request
            message, request = request, None  # any part of it would keep all in memory
            return tensors.read_inputs(signature, message.inputs)

        study = dict(context.invocation_metadata()).get(STUDY, "")
        prediction = await self._core.predict(
            spec, read_inputs, outputs, context.time_remaining(), study
        )
        response = predict_pb2.PredictResponse()
        response.model_spec.name = spec.name
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


class BoundedRequests(grpc.aio.ServerInterceptor):
    """Receives every call's messages itself, within the bounds of an Intake.

    gRPC hands a unary method its message when all of it is in memory. Received as a stream of one,
    it can be made to wait, or refused, before its first byte is asked for. Bytes that are no
    message are answered as gRPC's C++ library does; grpcio logs a traceback.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        """Wraps the method's handler."""
        handler = await continuation(details)
        if handler is None:
            return None
        received = partial(self._received, details.method, handler.request_deserializer)

        async def unary(_: Any, context: Context) -> Any:
            async with received(context) as request:
                answer = handler.unary_unary(request, context)
                del request  # it is the method's to give up
                return await answer

        async def watch(_: Any, context: Context) -> None:
            async with received(context) as request:
                await handler.unary_stream(request, context)

        async def stream(_: Any, context: Context) -> AsyncIterator[Any]:
            async for response in handler.stream_stream(self._each(received, context), context):
                yield response

        if handler.unary_unary:
            return grpc.stream_unary_rpc_method_handler(unary, None, handler.response_serializer)
        behaviour = watch if handler.unary_stream else stream
        return grpc.stream_stream_rpc_method_handler(behaviour, None, handler.response_serializer)

    async def _each(self, received: Any, context: Context) -> AsyncIterator[Any]:
        while True:
            async with received(context, last=True) as request:
                if request is None:
                    return
                yield request

    @asynccontextmanager
    async def _received(
        self, method: str, parse: Callable[[bytes], Any], context: Context, *, last: bool = False
    ) -> AsyncIterator[Any]:
        """The call's next message, accounted for until it is answered.

        `last`: there may be none any more, which gives None.
        """
        try:
            prediction = method.startswith(f"/{PREDICTION_SERVICE}/")
            async with self._intake.receiving(context.peer(), prediction=prediction):
                data = await context.read()
            if data is grpc.aio.EOF:
                if not last:
                    raise _unreadable()
                yield None
                return
            with self._intake.holding(len(data)):
                parsed = _parsed(parse, data)
                del data
                yield await parsed
            return
        except ServingError as error:
            # The frames of an error, and of the abort below, would keep the message in memory.
            refusal = error.with_traceback(None)
            data = None  # noqa: F841
        logs.event("request refused", method=method.rpartition("/")[2], code=refusal.code.name)
        await context.abort(refusal.code, refusal.short_message)


def _unreadable() -> ServingError:
    return ServingError(Code.INTERNAL, "The request cannot be parsed")


_AT_HAND = 2**16  # bytes that are parsed faster than a thread is found for it


async def _parsed(parse: Any, data: bytes) -> Any:
    """The message in the bytes; long ones in a thread, as health and status are answered here."""

    def checked() -> Any:
        wire.check(data, parse.__self__.DESCRIPTOR)
        return parse(data)

    try:
        return checked() if len(data) < _AT_HAND else await asyncio.to_thread(checked)
    except DecodeError:
        raise _unreadable() from None


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
