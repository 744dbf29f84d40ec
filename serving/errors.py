"""Errors that become a gRPC status or an HTTP status, by TensorFlow Serving's tables."""

from typing import Any

import grpc

Code: Any = grpc.StatusCode  # grpcio ships no types

MESSAGE_LIMIT = 1024  # model_servers/grpc_status_util.cc


class ServingError(Exception):
    """A request or a version that failed, with its canonical code and a message for the caller."""

    def __init__(self, code: Any, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def number(self) -> int:
        """The canonical code's number, 0 to 16."""
        return self.code.value[0]

    @property
    def short_message(self) -> str:
        """The message, cut as TensorFlow Serving cuts what it sends over gRPC."""
        if len(self.message) <= MESSAGE_LIMIT:
            return self.message
        return self.message[:MESSAGE_LIMIT] + "...TRUNCATED"


def code_of(number: int) -> Any:
    """The canonical code with this number; UNKNOWN for any other."""
    return next((code for code in Code if code.value[0] == number), Code.UNKNOWN)


def invalid_argument(message: str) -> ServingError:
    """A request that no server could answer."""
    return ServingError(Code.INVALID_ARGUMENT, message)


def not_found(message: str) -> ServingError:
    """A model, version or label that is not served."""
    return ServingError(Code.NOT_FOUND, message)


def failed_precondition(message: str) -> ServingError:
    """A request that the model or the configuration as it is now does not allow."""
    return ServingError(Code.FAILED_PRECONDITION, message)


# model_servers/http_server.cc, ToHTTPStatusCode
HTTP_STATUS = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}
