"""Requests to the model server and what its answers say; the same for both kinds of client."""

import time
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from client import contract, protos, tensors
from client.errors import ServerError
from client.images import XRay
from client.request_log.record import Record, digest
from client.request_log.writer import RequestLog
from client.results import Metadata, Prediction, Signature, TensorInfo, VersionStatus

LARGE: Final = (contract.HEATMAP, contract.LUNGS, contract.OVERLAY)  # of no request log
_PREDICTION: Final = "/tensorflow.serving.PredictionService/"
_MODEL: Final = "/tensorflow.serving.ModelService/"


class Methods:
    """The server's methods as calls on a channel, synchronous or asyncio."""

    def __init__(self, channel: Any):
        self.predict = channel.unary_unary(
            _PREDICTION + "Predict",
            request_serializer=protos.PredictRequest.SerializeToString,
            response_deserializer=protos.PredictResponse.FromString,
        )
        self.metadata = channel.unary_unary(
            _PREDICTION + "GetModelMetadata",
            request_serializer=protos.GetModelMetadataRequest.SerializeToString,
            response_deserializer=protos.GetModelMetadataResponse.FromString,
        )
        self.status = channel.unary_unary(
            _MODEL + "GetModelStatus",
            request_serializer=protos.GetModelStatusRequest.SerializeToString,
            response_deserializer=protos.GetModelStatusResponse.FromString,
        )


class Requests:
    """Requests for one model; the newest version unless one is named, by number or label."""

    def __init__(self, model: str, version: int | None, label: str | None = None):
        if version is not None and label is not None:
            raise ValueError("a version is named by its number or by a label, not by both")
        self._model = model
        self._version = version
        self._label = label

    def predict(self, xray: XRay, cam: bool, outputs: Iterable[str] = ()) -> Any:
        """A PredictRequest of one image.

        Args:
            xray: the image.
            cam: asks the signature `cam` instead of `predict_image`.
            outputs: names of those to compute; none: all.

        Returns:
            The message.
        """
        request = protos.PredictRequest()
        self._address(request)
        request.model_spec.signature_name = contract.CAM if cam else contract.PREDICT_IMAGE
        request.output_filter.extend(outputs)
        request.inputs[contract.IMAGE_BYTES].CopyFrom(tensors.from_bytes([xray.data]))
        return request

    def status(self) -> Any:
        """A GetModelStatusRequest."""
        return self._address(protos.GetModelStatusRequest())

    def metadata(self) -> Any:
        """A GetModelMetadataRequest for the signatures."""
        request = protos.GetModelMetadataRequest(metadata_field=["signature_def"])
        return self._address(request)

    def _address(self, request: Any) -> Any:
        request.model_spec.name = self._model
        if self._version is not None:
            request.model_spec.version.value = self._version
        if self._label is not None:
            request.model_spec.version_label = self._label
        return request


def prediction(response: Any, latency: float, notes: tuple[str, ...] = ()) -> Prediction:
    """Reads the first row of a PredictResponse.

    Args:
        response: the message.
        latency: seconds from request to answer.
        notes: what reading the X-ray told, a line each.

    Returns:
        The answer.

    Raises:
        ServerError: an output of the contract is missing or cannot be read.
    """
    row = {name: _first_row(name, tensor) for name, tensor in response.outputs.items()}
    missing = [
        name
        for name in (contract.PROBABILITY, contract.THRESHOLD, contract.LABEL)
        if name not in row
    ]
    if missing:
        raise ServerError(f"the model's answer lacks '{missing[0]}'; is it a pneumonia model?")
    return Prediction(
        probability=float(row[contract.PROBABILITY]),
        threshold=float(row[contract.THRESHOLD]),
        label=int(row[contract.LABEL]),
        version=response.model_spec.version.value,
        latency=latency,
        quality=_number(row.get(contract.QUALITY)),
        familiarity=_number(row.get(contract.FAMILIARITY)),
        heatmap=row.get(contract.HEATMAP),
        lungs=row.get(contract.LUNGS),
        overlay=row.get(contract.OVERLAY),
        notes=notes,
    )


def answered(
    xray: XRay, request: Any, response: Any, latency: float, log: RequestLog | None
) -> Prediction:
    """Reads an answer, and writes it to a request log where there is one.

    Args:
        xray: the X-ray that was sent.
        request: its PredictRequest.
        response: the PredictResponse.
        latency: seconds from request to answer.
        log: gets the record.

    Returns:
        The answer.

    Raises:
        ServerError: as `prediction`; then nothing is logged.
    """
    answer = prediction(response, latency, xray.notes)
    if log:
        log.put(record(xray, request, response, latency, log.pixels))
    return answer


def record(xray: XRay, request: Any, response: Any, latency: float, pixels: bool) -> Record:
    """What a request log holds of one X-ray, as the embedded server would write it.

    Args:
        xray: the X-ray that was sent.
        request: its PredictRequest.
        response: the PredictResponse.
        latency: seconds from request to answer.
        pixels: also keeps the image's bytes.

    Returns:
        The record, without the outputs in LARGE.
    """
    study, instance = (digest(uid) if uid else "" for uid in xray.uids or ("", ""))
    wanted = response.outputs.items()
    return Record(
        time=time.time(),
        model=response.model_spec.name or request.model_spec.name,
        version=response.model_spec.version.value,
        signature=request.model_spec.signature_name,
        hashes=[xray.sha256],
        outputs={name: tensors.to_numpy(tensor) for name, tensor in wanted if name not in LARGE},
        latency=latency,
        study=study,
        instance=instance,
        pixels=[xray.data] if pixels else [],
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _first_row(name: str, tensor: Any) -> Any:
    try:
        values = tensors.to_numpy(tensor)
    except tensors.TensorError as error:
        raise ServerError(f"the model's output '{name}' cannot be read: {error}") from error
    if np.ndim(values) == 0 or len(values) != 1:
        raise ServerError(f"the model's output '{name}' has shape {values.shape}, not one row")
    return values[0]


def statuses(response: Any) -> list[VersionStatus]:
    """The versions in a GetModelStatusResponse, newest first."""
    versions = [
        VersionStatus(
            version=entry.version,
            state=contract.STATES.get(entry.state, "UNKNOWN"),
            error=entry.status.error_message,
        )
        for entry in response.model_version_status
    ]
    return sorted(versions, key=lambda entry: entry.version, reverse=True)


def metadata(response: Any) -> Metadata:
    """What a GetModelMetadataResponse says; raises ServerError without signatures in it."""
    found = protos.SignatureDefMap()
    if not response.metadata["signature_def"].Unpack(found):
        raise ServerError("the server's metadata lacks the signatures")
    signatures = {
        name: Signature(_tensor_infos(signature.inputs), _tensor_infos(signature.outputs))
        for name, signature in sorted(found.signature_def.items())
    }
    spec = response.model_spec
    return Metadata(spec.name, spec.version.value, signatures)


def _tensor_infos(infos: Any) -> dict[str, TensorInfo]:
    return {
        name: TensorInfo(
            tensors.dtype_name(info.dtype), tuple(dim.size for dim in info.tensor_shape.dim)
        )
        for name, info in sorted(infos.items())
    }
