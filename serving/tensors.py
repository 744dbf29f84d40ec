"""Between TensorProto and numpy, and what a signature allows."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from serving.errors import invalid_argument

MAX_ELEMENTS = 2**24  # a shape may claim any size; no more than this is allocated
MAX_RANK = 254  # core/framework/tensor_shape.h
MAX_STRINGS = 1024  # each is an image, or an example with one

_VALUE_FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int8": "int_val",
    "int16": "int_val",
    "int32": "int_val",
    "uint8": "int_val",
    "uint16": "int_val",
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "bool": "bool_val",
}


def read_inputs(signature: Any, protos: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Reads a request's tensors, checked against the signature.

    Args:
        signature: the SignatureDef.
        protos: TensorProto messages by input name.

    Returns:
        Arrays by input name, in the signature's types; strings are of dtype object.

    Raises:
        ServingError: INVALID_ARGUMENT; the message names what is missing, unknown, of the wrong
            type or shape.

    Source: servables/tensorflow/predict_util.cc, cc/saved_model/util.cc.
    """
    check_names(signature, protos)
    arrays = {}
    for alias in sorted(signature.inputs):
        _check_dtype(alias, signature.inputs[alias], protos[alias].dtype)
        array = _from_proto(alias, protos[alias])
        check_shape(alias, signature.inputs[alias], array)
        arrays[alias] = array
    return arrays


def check_names(signature: Any, names: Iterable[str]) -> None:
    """Checks that a request names exactly the signature's inputs.

    Args:
        signature: the SignatureDef.
        names: the request's.

    Raises:
        ServingError: INVALID_ARGUMENT; it does not.
    """
    sent, wanted = set(names), set(signature.inputs)
    if sent == wanted:
        return
    if len(sent) != len(wanted):
        raise invalid_argument(
            f"input size does not match signature: {len(sent)}!={len(wanted)} "
            f"len({{{_joined(sent)}}}) != len({{{_joined(wanted)}}}). "
            f"Sent extra: {{{_joined(sent - wanted)}}}. "
            f"Missing but required: {{{_joined(wanted - sent)}}}."
        )
    missing = min(wanted - sent)
    raise invalid_argument(
        f"Signature input alias: {missing}(feed name: {signature.inputs[missing].name}) not found "
        "in request and no default value provided. Inputs expected to be in the request "
        f"{{{_joined(sent)}}}, or default input alias set: "
    )


def check_shape(alias: str, info: Any, array: np.ndarray) -> None:
    """Checks an array's shape.

    Args:
        alias: the input's name, for the message.
        info: the signature's TensorInfo.
        array: any shape.

    Raises:
        ServingError: INVALID_ARGUMENT; the signature rules the shape out.
    """
    shape = info.tensor_shape
    if shape.unknown_rank:
        return
    sizes = [dim.size for dim in shape.dim]
    fits = len(sizes) == array.ndim and all(
        size in (-1, actual) for size, actual in zip(sizes, array.shape, strict=True)
    )
    if not fits:
        raise invalid_argument(
            f"input tensor {alias} has shape {list(array.shape)}, "
            f"which the signature's shape {sizes} does not allow"
        )


def check_strings(alias: str, count: int) -> None:
    """Checks how many strings one request holds.

    Args:
        alias: the input's name, for the message.
        count: how many.

    Raises:
        ServingError: INVALID_ARGUMENT; more than MAX_STRINGS.
    """
    if count > MAX_STRINGS:
        raise invalid_argument(
            f"input tensor {alias} has {count} strings; at most {MAX_STRINGS} go into one request"
        )


def choose_outputs(signature: Any, output_filter: Iterable[str]) -> tuple[str, ...]:
    """Chooses the outputs to compute.

    Args:
        signature: the SignatureDef.
        output_filter: names; empty: all of the signature's.

    Returns:
        The names.

    Raises:
        ServingError: INVALID_ARGUMENT; a name is unknown or repeated.
    """
    known = set(signature.outputs)
    chosen: list[str] = []
    for alias in output_filter:
        if alias not in known:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {{{_joined(known)}}}."
            )
        if alias in chosen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        chosen.append(alias)
    return tuple(chosen) or tuple(sorted(known))


def write_output(array: np.ndarray, proto: Any, *, as_content: bool) -> None:
    """Fills a TensorProto.

    Args:
        array: any shape; of dtype object where it holds strings.
        proto: an empty TensorProto.
        as_content: writes bytes into `tensor_content`, strings excepted, in place of the typed
            fields (`float_val` and so on) that TensorFlow Serving's example clients read.
    """
    from tensorflow.python.framework import dtypes

    proto.dtype = dtypes.as_dtype(array.dtype).as_datatype_enum  # an array of objects: DT_STRING
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    field = "string_val" if array.dtype == object else _VALUE_FIELDS.get(array.dtype.name)
    if field is None or (as_content and array.dtype != object):
        proto.tensor_content = array.tobytes()
    else:
        getattr(proto, field).extend(array.ravel().tolist())


def _from_proto(alias: str, proto: Any) -> np.ndarray:
    from tensorflow.core.framework import types_pb2
    from tensorflow.python.framework import tensor_util

    dims = proto.tensor_shape.dim
    # Numbers of Python's have no bound: their product over a million of sizes would take minutes.
    sizes = [dim.size for dim in dims] if len(dims) <= MAX_RANK else []
    elements = math.prod(sizes)
    fits = (
        not proto.tensor_shape.unknown_rank
        and len(dims) <= MAX_RANK
        and min(sizes, default=0) >= 0
        and elements <= MAX_ELEMENTS
        # TensorFlow repeats the last string up to the shape's size; ten bytes would buy an hour.
        and (proto.dtype != types_pb2.DT_STRING or len(proto.string_val) == elements)
    )
    if not fits:
        raise invalid_argument(f"tensor parsing error: {alias}")
    check_strings(alias, len(proto.string_val))
    try:
        return tensor_util.MakeNdarray(proto)
    except (TypeError, ValueError, IndexError, OverflowError):
        raise invalid_argument(f"tensor parsing error: {alias}") from None


def _check_dtype(alias: str, info: Any, actual: int) -> None:
    if actual != info.dtype:
        wanted, got = _dtype_name(info.dtype), _dtype_name(actual)
        raise invalid_argument(f"input tensor {alias}: expects {wanted} but {got} is provided")


def _dtype_name(number: int) -> str:
    from tensorflow.core.framework import types_pb2

    if number not in types_pb2.DataType.values():
        return f"type {number}"
    return types_pb2.DataType.Name(number).removeprefix("DT_").lower()


def _joined(names: Iterable[str]) -> str:
    return ",".join(sorted(names))
