"""What can go wrong between a client and the model server, by what a caller can do about it."""

from typing import ClassVar

import grpc

_DETAILS = 200  # characters of a server's own words that a message repeats


class ServerError(Exception):
    """The server did not answer with a prediction; the message is one line. `code` names it."""

    code: ClassVar[str] = "server_error"


class ServerAwayError(ServerError):
    """Nothing answers at the address: start the server, or correct the address."""

    code = "server_away"


class ServerBusyError(ServerError):
    """The server has more work than it takes: try again later."""

    code = "server_busy"


class DeadlineError(ServerError):
    """No answer within the timeout."""

    code = "deadline_exceeded"


class ImageRefusedError(ServerError):
    """The server could not use this image."""

    code = "image_refused"


class ModelMissingError(ServerError):
    """The server has no such model, version or signature, or it is not loaded yet."""

    code = "model_missing"


class AbandonedError(ServerError):
    """Nobody waits for the answer any more."""

    code = "abandoned"


_BY_STATUS = {
    grpc.StatusCode.UNAVAILABLE: ServerAwayError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ServerBusyError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineError,
    grpc.StatusCode.INVALID_ARGUMENT: ImageRefusedError,
    grpc.StatusCode.NOT_FOUND: ModelMissingError,
    grpc.StatusCode.FAILED_PRECONDITION: ModelMissingError,  # it lacks the signature
}
_UNKNOWN_LABEL = "servable version label"  # TensorFlow Serving calls that INVALID_ARGUMENT, too
_MESSAGES = {
    ServerAwayError: "no model server answers at {target} ({details})",
    ServerBusyError: "the model server at {target} is busy ({details})",
    DeadlineError: "the model server at {target} gave no answer in time",
    ImageRefusedError: "the model server refused the image ({details})",
    ModelMissingError: "the server at {target} does not serve this model ({details})",
    ServerError: "the model server at {target} failed ({details})",
}


def from_rpc(error: grpc.RpcError, target: str) -> ServerError:
    """Turns a failed call into an error of ours.

    Args:
        error: with its status code and details.
        target: the server's address, for the message.

    Returns:
        The error; the status code decides its class.
    """
    kind = _BY_STATUS.get(error.code(), ServerError)
    details = " ".join((error.details() or error.code().name).split())
    if _UNKNOWN_LABEL in details:
        kind = ModelMissingError
    if len(details) > _DETAILS:
        details = details[: _DETAILS - 1] + "…"
    return kind(_MESSAGES[kind].format(target=target, details=details))
