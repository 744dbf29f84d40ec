"""Predictions and refusals as the JSON that client/web/openapi.json promises."""

import base64
import io
from typing import Any, Final

import numpy as np
from PIL import Image

from client.errors import (
    AbandonedError,
    DeadlineError,
    ImageRefusedError,
    ModelMissingError,
    ServerAwayError,
    ServerBusyError,
    ServerError,
)
from client.images import ImageError, Reason, XRay
from client.results import Prediction

_DISPLAY_SIDE: Final = 2048
_STATUS: Final[dict[type[ServerError], int]] = {
    ImageRefusedError: 422,
    ServerAwayError: 503,
    ServerBusyError: 503,
    ModelMissingError: 503,
    DeadlineError: 504,
    AbandonedError: 499,  # of nginx; nobody reads it
    ServerError: 502,
}
_MESSAGES: Final[dict[type[ServerError], str]] = {
    ImageRefusedError: "the model server could not use this image",
    ServerAwayError: "the model server does not answer",
    ServerBusyError: "the model server is busy",
    ModelMissingError: "the model server has not loaded the model",
    DeadlineError: "the model server took too long",
    AbandonedError: "the browser hung up",
    ServerError: "the model server failed",
}


def refusal(code: str, message: str) -> dict[str, Any]:
    """The body of every answer that is no prediction.

    Args:
        code: of client/web/openapi.json.
        message: one line for people.

    Returns:
        The JSON object.
    """
    return {"error": {"code": code, "message": message}}


def refused_image(error: ImageError) -> tuple[dict[str, Any], int]:
    """Body and status for a file that cannot be used."""
    status = 413 if error.reason is Reason.TOO_LARGE else 422
    return refusal(str(error.reason), str(error)), status


def failed_server(error: ServerError) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Body, status and headers where the model server gave no prediction.

    Its own words stay out: they may name hosts and files.
    """
    status = _STATUS[type(error)]
    headers = {"Retry-After": "2"} if status == 503 else {}
    return refusal(error.code, _MESSAGES[type(error)]), status, headers


def prediction(upload: bytes, xray: XRay, answer: Prediction) -> dict[str, Any]:
    """The body for an X-ray that was answered with its heat map.

    Args:
        upload: the file as it came.
        xray: what was sent to the model.
        answer: the model's, with heat map and overlay.

    Returns:
        The JSON object. It has a picture to show only where a browser would show the upload
        otherwise, or not at all.

    Raises:
        ServerError: the server sent no heat map.
    """
    if answer.heatmap is None or answer.overlay is None:
        raise ServerError("the model's answer lacks the heat map")
    return {
        "probability": answer.probability,
        "threshold": answer.threshold,
        "label": answer.label,
        "decision": answer.decision,
        "version": answer.version,
        "latency_ms": round(answer.latency * 1000, 1),
        "quality": answer.quality,
        "familiarity": answer.familiarity,
        "warning": answer.warning,
        "image": {
            "format": xray.source_format,
            "width": xray.width,
            "height": xray.height,
            "sha256": xray.sha256,
        },
        "display_png": None if xray.data == upload else _base64(_display(xray)),
        "heatmap_png": _base64(_grey_png(answer.heatmap)),
        "lungs_png": None if answer.lungs is None else _base64(_grey_png(answer.lungs)),
        "overlay_png": _base64(answer.overlay),
    }


def _display(xray: XRay) -> bytes:
    image = Image.open(io.BytesIO(xray.data))
    image.thumbnail((_DISPLAY_SIDE, _DISPLAY_SIDE), Image.Resampling.LANCZOS)
    return _png(image)


def _grey_png(values: np.ndarray) -> bytes:
    levels = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return _png(Image.fromarray(levels))


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
