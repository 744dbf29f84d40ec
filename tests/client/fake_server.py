"""A model server that answers the contract's outputs without a model, and fails on request."""

import contextlib
import io
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
import numpy as np
from PIL import Image

from client import protos, tensors

VERSION = 1_700_000_000
THRESHOLD = 0.4
_SCORES = ("probability", "threshold", "label", "quality", "familiarity")
_PICTURES = ("heatmap", "lungs", "overlay_png_bytes")


@dataclass
class FakeModel:
    """The brighter the picture, the likelier a pneumonia."""

    quality: float | None = None
    familiarity: float | None = None
    lungs: np.ndarray | None = None
    delay: float = 0.0
    version: int = VERSION
    endless: bool = False  # a prediction takes until its caller hangs up
    left: int = 0  # callers that did
    leave_out: tuple[str, ...] = ()
    failures: deque[grpc.StatusCode] = field(default_factory=deque)  # one for each next call
    calls: list[str] = field(default_factory=list)  # the signature of each prediction
    wanted: tuple[str, ...] = ()  # the outputs that the last one was asked for

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        def method(call, request, response):
            return grpc.unary_unary_rpc_method_handler(
                call, request.FromString, response.SerializeToString
            )

        p = protos
        return [
            grpc.method_handlers_generic_handler(
                "tensorflow.serving.PredictionService",
                {
                    "Predict": method(self.predict, p.PredictRequest, p.PredictResponse),
                    "GetModelMetadata": method(
                        self.metadata, p.GetModelMetadataRequest, p.GetModelMetadataResponse
                    ),
                },
            ),
            grpc.method_handlers_generic_handler(
                "tensorflow.serving.ModelService",
                {
                    "GetModelStatus": method(
                        self.status, p.GetModelStatusRequest, p.GetModelStatusResponse
                    )
                },
            ),
        ]

    def predict(self, request, context):
        self.calls.append(request.model_spec.signature_name)
        self.wanted = tuple(request.output_filter)
        self._fail_or_wait(request, context)
        if self.endless:
            while context.is_active():
                time.sleep(0.01)
            self.left += 1
        try:
            (content,) = tensors.to_numpy(request.inputs["image_bytes"])
            image = Image.open(io.BytesIO(content)).convert("L")
        except (OSError, ValueError):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Unknown image file format.")
        probability = np.asarray(image).mean() / 255
        outputs = {
            "probability": np.float32([probability]),
            "threshold": np.float32([THRESHOLD]),
            "label": np.int64([probability >= THRESHOLD]),
        }
        for name in ("quality", "familiarity"):
            if (value := getattr(self, name)) is not None:
                outputs[name] = np.float32([value])
        if request.model_spec.signature_name == "cam":
            outputs["heatmap"] = blob()[None]
            if self.lungs is not None:
                outputs["lungs"] = self.lungs[None]
            outputs["overlay_png_bytes"] = [overlay(image)]
        if unknown := set(request.output_filter) - outputs.keys():
            message = f"output tensor alias not found in signature: {min(unknown)}"
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, message)
        response = protos.PredictResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = request.model_spec.version.value or self.version
        for name in request.output_filter or outputs:
            if name not in self.leave_out:
                response.outputs[name].CopyFrom(as_tensor(outputs[name]))
        return response

    def status(self, request, context):
        self._fail_or_wait(request, context)
        response = protos.GetModelStatusResponse()
        response.model_version_status.add(version=self.version - 1, state=50)
        response.model_version_status.add(version=self.version, state=30)
        return response

    def metadata(self, request, context):
        self._fail_or_wait(request, context)
        signatures = protos.SignatureDefMap()
        for name, outputs in (("predict_image", _SCORES), ("cam", (*_SCORES, *_PICTURES))):
            signature = signatures.signature_def[name]
            signature.inputs["image_bytes"].dtype = 7
            signature.inputs["image_bytes"].tensor_shape.dim.add(size=-1)
            for output in outputs:
                if getattr(self, output, True) is not None and output not in self.leave_out:
                    signature.outputs[output].dtype = 1
                    signature.outputs[output].tensor_shape.dim.add(size=-1)
        response = protos.GetModelMetadataResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = self.version
        response.metadata["signature_def"].Pack(signatures)
        return response

    def _fail_or_wait(self, request, context):
        if self.failures:
            context.abort(self.failures.popleft(), "as the test asked")
        if request.model_spec.version_label == "gone":
            message = "Unrecognized servable version label: gone"
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, message)
        if request.model_spec.name != "pneumonia":
            context.abort(grpc.StatusCode.NOT_FOUND, f"no model {request.model_spec.name}")
        time.sleep(self.delay)


def as_tensor(values):
    """A TensorProto of an array, or of a list of bytes, as TensorFlow Serving writes it."""
    if isinstance(values, list):
        return tensors.from_bytes(values)
    numbers, fields = {"f": (1, "float_val"), "i": (9, "int64_val")}, values.dtype.kind
    number, name = numbers[fields]
    tensor = protos.TensorProto(dtype=number)
    for size in values.shape:
        tensor.tensor_shape.dim.add(size=size)
    getattr(tensor, name).extend(values.ravel().tolist())
    return tensor


def blob() -> np.ndarray:
    """A round heat at a third from the left and two thirds from the top: float32[224,224]."""
    y, x = np.mgrid[0:224, 0:224] / 224
    return np.exp(-((x - 1 / 3) ** 2 + (y - 2 / 3) ** 2) / 0.02).astype(np.float32)


def overlay(image: Image.Image) -> bytes:
    """The picture with the heat in red: a PNG file."""
    heat = Image.fromarray((blob() * 255).astype(np.uint8)).resize(image.size)
    merged = Image.merge("RGB", [Image.blend(image, heat, 0.5), image, image])
    file = io.BytesIO()
    merged.save(file, "PNG")
    return file.getvalue()


@contextlib.contextmanager
def serve(
    model: FakeModel, credentials: grpc.ServerCredentials | None = None, port: int = 0
) -> Iterator[int]:
    """Runs the model on a port of 127.0.0.1, a free one unless named."""
    server = grpc.server(
        ThreadPoolExecutor(8),
        options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)],
    )
    server.add_generic_rpc_handlers(tuple(model.handlers()))
    address = f"127.0.0.1:{port}"
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=0).wait()
