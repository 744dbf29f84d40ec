"""TensorFlow Serving's REST API, over the answers in core.py."""

import asyncio
import json
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import numpy as np
from aiohttp import web
from google.protobuf.json_format import MessageToDict
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    regression_pb2,
)

from serving import json_tensors, logs
from serving.core import Core
from serving.errors import (
    HTTP_STATUS,
    Code,
    ServingError,
    failed_precondition,
    invalid_argument,
)
from serving.intake import MAX_BODY_BYTES, Intake
from serving.metrics import CONTENT_TYPE, Metrics
from serving.request_logging import STUDY
from serving.servable import SignatureNotFoundError

# model_servers/http_rest_api_util.cc
_CHOICE = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_PREDICTION = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_CHOICE}:(?P<method>classify|regress|predict)", re.IGNORECASE
)
_STATUS = re.compile(
    rf"/v1/models(?:/(?P<name>[^/:]+))?{_CHOICE}(?:/(?P<subresource>metadata))?", re.IGNORECASE
)
_ORIGIN = re.compile("https?://")
_MAX_INT64 = 2**63 - 1
_DIGITS = 19  # of such a number


class RestApi:
    """The routes, as one aiohttp application.

    Args:
        core: makes the answers.
        metrics: counts them.
        prometheus_path: where the metrics stand; None: nowhere.
        timeout: seconds for a request from its headers to its answer, body included.
        intake: bounds what is received.
        cors: lets the pages of other sites ask.
    """

    def __init__(
        self,
        core: Core,
        metrics: Metrics,
        *,
        prometheus_path: str | None,
        timeout: float,
        intake: Intake,
        cors: bool,
    ) -> None:
        self._core = core
        self._metrics = metrics
        self._timeout = timeout
        self._intake = intake
        self._cors = cors
        self.application = web.Application()
        if prometheus_path:
            self.application.router.add_get(prometheus_path, self._prometheus)
        self.application.router.add_route("*", "/{path:.*}", self._handle)
        if cors:
            self.application.on_response_prepare.append(_let_every_page_read)

    async def _prometheus(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.page(), content_type=CONTENT_TYPE)

    async def _handle(self, request: web.Request) -> web.Response:
        start = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                text = await asyncio.to_thread(_dumps, await self._answer(request))
                return web.Response(text=text, content_type="application/json")
        except ServingError as error:
            status, message, code = HTTP_STATUS[error.code], error.message, error.code.name
        except TimeoutError:
            status, message, code = 504, "Timed out", Code.DEADLINE_EXCEEDED.name
        except web.HTTPException as error:  # a body that is too large
            status, message, code = error.status, error.text or error.reason, "HTTP"
        except (web.RequestPayloadError, ConnectionError):
            status, message, code = 400, "The request's body could not be read", "HTTP"
        except Exception:
            logs.event("request broke", level=40, error=True, method="REST")
            status, message, code = 500, "Internal error", Code.INTERNAL.name
        milliseconds = round(1000 * (time.perf_counter() - start), 1)
        logs.event("request failed", method="REST", code=code, milliseconds=milliseconds)
        return web.json_response({"error": message}, status=status, dumps=_dumps)

    async def _answer(self, request: web.Request) -> Any:
        path = request.rel_url.raw_path
        if request.method == "OPTIONS" and self._cors:
            if not _ORIGIN.match(request.headers.get("Origin", "")):
                raise failed_precondition("Origin header is missing in CORS preflight")
            return {}
        if request.method != "GET" and "Origin" in request.headers and not self._cors:
            # A browser's. It sends text/plain without asking first, and there is no page of ours.
            raise ServingError(
                Code.PERMISSION_DENIED,
                "Web pages may not ask here; see --rest_api_enable_cors_support",
            )
        if not path.lower().startswith("/v1/"):
            raise ServingError(Code.NOT_FOUND, f"No such route: {request.method} {path}")
        if request.method == "POST" and (match := _PREDICTION.fullmatch(path)):
            async with self._intake.receiving(_peer(request), prediction=True):
                body = await _body(request)
            with self._intake.holding(len(body)):
                return await self._predict_like(match, body, request.headers.get(STUDY, ""))
        if request.method == "GET" and (match := _STATUS.fullmatch(path)):
            return self._describe(match)
        raise invalid_argument(f"Malformed request: {request.method} {path}")

    async def _predict_like(self, match: re.Match[str], body: bytearray, study: str) -> Any:
        spec = _model_spec(match)
        method = match["method"].lower()
        with self._metrics.request(lambda: self._core.known(spec.name), method, "REST"):
            document = await asyncio.to_thread(json_tensors.parse_request, body)
            body.clear()
            spec.signature_name = document.get("signature_name", "")
            if method == "predict":
                return await self._predict(spec, document, study)
            if "examples" not in document:
                raise invalid_argument(
                    "When method is classify, key 'examples' is expected and was not found"
                )
            if method == "classify":
                return self._core.classify(
                    classification_pb2.ClassificationRequest(model_spec=spec)
                )
            return self._core.regress(regression_pb2.RegressionRequest(model_spec=spec))

    async def _predict(self, spec: Any, document: Mapping[str, Any], study: str) -> Any:
        layout = json_tensors.Layout.ROW

        def read_inputs(signature: Any) -> Mapping[str, np.ndarray]:
            nonlocal layout
            layout, arrays = json_tensors.read_inputs(document, signature)
            return arrays

        try:
            prediction = await self._core.predict(spec, read_inputs, (), self._timeout, study)
        except SignatureNotFoundError as error:
            raise invalid_argument(
                f'Serving signature name: "{error.name}" not found in signature def'
            ) from None
        return await asyncio.to_thread(json_tensors.write_outputs, layout, prediction.outputs)

    def _describe(self, match: re.Match[str]) -> Any:
        if not match["name"]:
            raise invalid_argument("Missing model name in request.")
        spec = _model_spec(match)
        if not match["subresource"]:
            status = self._core.status(get_model_status_pb2.GetModelStatusRequest(model_spec=spec))
            return MessageToDict(
                status, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
            )
        response = self._core.metadata(
            get_model_metadata_pb2.GetModelMetadataRequest(
                model_spec=spec, metadata_field=["signature_def"]
            )
        )
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return {
            "model_spec": _plain(response.model_spec),
            "metadata": {"signature_def": _plain(signatures)},
        }


def _peer(request: web.Request) -> str:
    host, port = request.transport.get_extra_info("peername")[:2] if request.transport else ("", 0)
    return f"http:{host}:{port}"


async def _let_every_page_read(request: web.Request, response: web.StreamResponse) -> None:
    """model_servers/http_rest_api_util.cc, AddCORSHeaders."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Methods"] = "POST, GET"
    response.headers["Access-Control-Allow-Headers"] = "Content-Type"


async def _body(request: web.Request) -> bytearray:
    """The request's body. Raises HTTPRequestEntityTooLarge, at once where its length is told."""
    body = bytearray()
    size = request.content_length or 0
    while size <= MAX_BODY_BYTES and (part := await request.content.readany()):
        body += part
        size = max(size, len(body))
    if size > MAX_BODY_BYTES:
        raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES, size)
    return body


def _model_spec(match: re.Match[str]) -> Any:
    spec = model_pb2.ModelSpec(name=unquote(match["name"]))
    if match["version"]:
        if len(match["version"]) > _DIGITS or int(match["version"]) > _MAX_INT64:
            raise invalid_argument(f"Failed to convert version: {match['version']} to numeric.")
        spec.version.value = int(match["version"])
    elif match["label"]:
        spec.version_label = unquote(match["label"])
    return spec


def _plain(message: Any) -> Any:
    return MessageToDict(
        message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
    )


def _dumps(content: Any) -> str:
    return json.dumps(content) + "\n"
