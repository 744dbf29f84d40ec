"""Warm-up requests: what a version answers before it is let to the callers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serving import tensors
from serving.errors import Code, ServingError, invalid_argument
from serving.servable import Servable

# servables/tensorflow/saved_model_warmup_util.h
REQUESTS_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_RECORDS = 1000


def warm_up(servable: Servable, version_path: Path, iterations: int = 1) -> int:
    """Runs the requests that a version brings along; without their file there are none.

    Args:
        servable: the version, loaded.
        version_path: its folder.
        iterations: how often each request is run.

    Returns:
        How many requests there were.

    Raises:
        ServingError: a record cannot be read or a request fails: such a version is not served.

    Source: servables/tensorflow/saved_model_warmup_util.cc.
    """
    path = version_path / REQUESTS_FILE
    if not path.is_file():
        return 0
    count = 0
    for count, record in enumerate(_records(path), start=1):
        if count > MAX_RECORDS:
            raise invalid_argument(
                f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}"
            )
        for _ in range(iterations):
            _replay(servable, record)
    return count


def _records(path: Path) -> Iterator[Any]:
    from google.protobuf.message import DecodeError
    from tensorflow.python.framework import errors_impl
    from tensorflow.python.lib.io import _pywrap_record_io
    from tensorflow_serving.apis import prediction_log_pb2

    try:
        for record in _pywrap_record_io.RecordIterator(str(path), ""):
            yield prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError:
        raise invalid_argument(f"Failed to parse warmup record from {path}") from None
    except errors_impl.OpError as error:
        raise ServingError(
            Code.DATA_LOSS,
            f"{error.message}. Please verify your warmup data is in TFRecord format.",
        ) from None


def _replay(servable: Servable, record: Any) -> None:
    kind = record.WhichOneof("log_type")
    if kind != "predict_log":
        # servables/tensorflow/saved_model_warmup.cc
        raise ServingError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")
    request = record.predict_log.request
    signature = servable.signature(request.model_spec.signature_name)
    servable.run(
        request.model_spec.signature_name or "serving_default",
        tensors.read_inputs(signature, request.inputs),
        tensors.choose_outputs(signature, request.output_filter),
    )
