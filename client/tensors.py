"""TensorProto to numpy and back, without TensorFlow."""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from client.protos import TensorProto

MAX_ELEMENTS: Final = 2**27  # a corrupt shape must not allocate the machine's memory


class TensorError(ValueError):
    """A tensor that this client cannot read."""


@dataclass(frozen=True)
class _Kind:
    name: str
    dtype: np.dtype
    field: str


# By tensorflow.DataType.
_KINDS: Final = {
    1: _Kind("float32", np.dtype("<f4"), "float_val"),
    2: _Kind("float64", np.dtype("<f8"), "double_val"),
    3: _Kind("int32", np.dtype("<i4"), "int_val"),
    4: _Kind("uint8", np.dtype("u1"), "int_val"),
    7: _Kind("string", np.dtype(object), "string_val"),
    9: _Kind("int64", np.dtype("<i8"), "int64_val"),
    10: _Kind("bool", np.dtype("?"), "bool_val"),
}
_BYTES: Final = 7


def dtype_name(number: int) -> str:
    """The name of a tensorflow.DataType, such as "float32" for 1."""
    kind = _KINDS.get(number)
    return kind.name if kind else f"DataType({number})"


def from_bytes(values: list[bytes]) -> Any:
    """A TensorProto string[N] of N byte strings."""
    tensor = TensorProto(dtype=_BYTES, string_val=values)
    tensor.tensor_shape.dim.add(size=len(values))
    return tensor


def from_numpy(values: np.ndarray) -> Any:
    """A TensorProto of numbers. Raises TensorError for a type that this client does not know."""
    for number, kind in _KINDS.items():
        if kind.dtype == values.dtype and kind.dtype != object:
            tensor = TensorProto(dtype=number, tensor_content=values.tobytes())
            for size in values.shape:
                tensor.tensor_shape.dim.add(size=size)
            return tensor
    raise TensorError(f"an array of type {values.dtype} is not supported")


def to_numpy(tensor: Any) -> np.ndarray:
    """The values of a TensorProto, in its shape.

    A tensor is written either as raw little-endian content or as a list of values whose last one
    stands for all that follow (tensorflow/core/framework/tensor.proto). Strings come as an object
    array of bytes. Raises TensorError for an unknown type, or values that do not fill the shape.
    """
    kind = _KINDS.get(tensor.dtype)
    if kind is None:
        raise TensorError(f"tensor of type {tensor.dtype} is not supported")
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    count = math.prod(shape)
    if tensor.tensor_shape.unknown_rank or min(shape, default=0) < 0 or count > MAX_ELEMENTS:
        raise TensorError(f"tensor shape {shape} is not usable")
    if tensor.tensor_content:
        return _from_content(tensor.tensor_content, kind, shape, count)
    values = np.array(getattr(tensor, kind.field), dtype=kind.dtype)
    if len(values) > count or (len(values) == 0 and count > 0):
        raise TensorError(f"tensor of shape {shape} holds {len(values)} values")
    if len(values) < count:
        values = np.concatenate([values, np.repeat(values[-1:], count - len(values))])
    return values.reshape(shape)


def _from_content(content: bytes, kind: _Kind, shape: tuple[int, ...], count: int) -> np.ndarray:
    if kind.dtype == object or len(content) != count * kind.dtype.itemsize:
        raise TensorError(f"{kind.name} tensor of shape {shape} holds {len(content)} bytes")
    return np.frombuffer(content, dtype=kind.dtype).reshape(shape).copy()
