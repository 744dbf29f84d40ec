"""Between the JSON of TensorFlow Serving's REST API and numpy. (util/json_tensor.cc)"""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np

from serving.errors import ServingError, invalid_argument
from serving.tensors import check_names, check_shape, check_strings

_DEBUG_LIMIT = 256
_MAX_RANK = 32
_MAX_ROWS = 1024  # each becomes an array of its own
_MOST_VALUES = 500_000  # a third of a second to parse, during which nothing else goes on
_AT_ONCE = 4096  # numbers turned into text: each takes 128 bytes meanwhile
_INTEGER_BOUNDS = {
    name: (int(np.iinfo(name).min), int(np.iinfo(name).max))
    for name in ("int8", "uint8", "int16", "int32", "int64", "uint32", "uint64")
}


class Layout(Enum):
    """How a request lists its tensors, and so how the answer does."""

    ROW = "instances"
    COLUMN = "inputs"


def parse_request(body: bytes | bytearray) -> dict[str, Any]:
    """The request's JSON object. Raises ServingError INVALID_ARGUMENT."""
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    # Each becomes an object of Python's, be it of one byte; base64 holds none of these.
    if sum(map(body.count, (b"[", b"{", b",", b":"))) > _MOST_VALUES:
        raise invalid_argument(f"JSON Parse error: more than {_MOST_VALUES:,} values")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid_argument(f"JSON Parse error: {error}") from None
    if not isinstance(document, dict):
        raise invalid_argument(f"JSON Value: {_shown(document)} Is not object")
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid_argument(
            f"JSON Value: {_shown(document)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    try:
        name.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can escape and UTF-8 not hold
        raise invalid_argument("JSON Parse error: 'signature_name' is not Unicode") from None
    return document


def read_inputs(
    document: Mapping[str, Any], signature: Any
) -> tuple[Layout, dict[str, np.ndarray]]:
    """Reads a request's tensors for a signature.

    Args:
        document: the request's JSON object.
        signature: the SignatureDef.

    Returns:
        How the tensors were listed, and the arrays by input name, in the signature's types.

    Raises:
        ServingError: INVALID_ARGUMENT; the message names the element at fault.
    """
    if "instances" in document and "inputs" in document:
        raise invalid_argument(
            f"JSON Value: {_shown(document)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    if "instances" in document:
        layout, arrays = Layout.ROW, _read_rows(document["instances"], signature.inputs, document)
    elif "inputs" in document:
        layout, arrays = Layout.COLUMN, _read_columns(document["inputs"], signature.inputs)
    else:
        raise invalid_argument("Missing 'inputs' or 'instances' key")
    check_names(signature, arrays)
    for alias, array in arrays.items():
        check_shape(alias, signature.inputs[alias], array)
    return layout, arrays


def write_outputs(layout: Layout, outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Writes an answer's JSON object: `predictions`, a list of rows, or `outputs`, by tensor.

    Args:
        layout: how the request listed its tensors.
        outputs: arrays by name.

    Returns:
        The object; with a single output its name is left out.

    Raises:
        ServingError: INVALID_ARGUMENT for outputs that JSON cannot hold.
    """
    plain = {name: _to_json(name, array) for name, array in sorted(outputs.items())}
    if layout is Layout.COLUMN:
        return {"outputs": plain if len(plain) > 1 else next(iter(plain.values()))}
    lengths = {name: array.shape[0] if array.ndim else -1 for name, array in outputs.items()}
    for name, length in lengths.items():
        if length < 0:
            raise invalid_argument(f"Tensor name: {name} has no shape information ")
        if length != (expected := next(iter(lengths.values()))):
            raise invalid_argument(
                f"Tensor name: {name} has inconsistent batch size: {length} expecting: {expected}"
            )
    if len(plain) == 1:
        return {"predictions": next(iter(plain.values()))}
    return {
        "predictions": [
            dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)
        ]
    }


def _read_rows(
    rows: Any, inputs: Mapping[str, Any], document: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    if not isinstance(rows, list):
        raise invalid_argument(
            f"JSON Value: {_shown(document)} Expecting 'instances' to be an list/array"
        )
    if not rows:
        raise invalid_argument(f"JSON Value: {_shown(document)} No values in 'instances' array")
    if len(rows) > _MAX_ROWS:
        raise invalid_argument(f"{len(rows)} instances; at most {_MAX_ROWS} go into one request")
    if not isinstance(rows[0], dict) and len(inputs) > 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    named = _is_object(rows[0])
    columns: dict[str, list[np.ndarray]] = {name: [] for name in inputs}
    for index, row in enumerate(rows):
        if named and not _is_object(row):
            raise invalid_argument(f"Expecting object but got list at item {index} of input list")
        if not named and _is_object(row):
            raise invalid_argument(
                f"Expecting value/list but got object at item {index} of input list"
            )
        for name, value in (row if named else {next(iter(inputs)): row}).items():
            try:
                _append(columns, inputs, name, value)
            except ServingError as error:
                key = f" key: {name}" if named else ""
                raise invalid_argument(
                    f"Failed to process element: {index}{key} of 'instances' list. "
                    f"Error: {error.code.name}: {error.message}"
                ) from None
        if named and set(row) != set(inputs):
            raise invalid_argument(
                f"Failed to process element: {index} of 'instances' list. JSON object: "
                f"{_shown(row)} keys must be equal to: {','.join(sorted(inputs))}"
            )
    return {name: np.stack(values) for name, values in columns.items()}


def _append(
    columns: dict[str, list[np.ndarray]], inputs: Mapping[str, Any], name: str, value: Any
) -> None:
    if name not in inputs:
        raise invalid_argument(f"JSON object: does not have named input: {name}")
    array = _to_array(name, value, inputs[name])
    before = columns[name]
    if before and before[0].size != array.size:
        raise invalid_argument(f"Expecting tensor size: {before[0].size} but got: {array.size}")
    if before and before[0].shape != array.shape:
        raise invalid_argument(
            f"Expecting shape {list(before[0].shape)} but got: {list(array.shape)}"
        )
    before.append(array)


def _read_columns(value: Any, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if not _is_object(value):
        if len(inputs) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        name, info = next(iter(inputs.items()))
        return {name: _to_array(name, value, info)}
    for name in inputs:
        if name not in value:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
    return {name: _to_array(name, value[name], info) for name, info in inputs.items()}


def _to_array(alias: str, value: Any, info: Any) -> np.ndarray:
    """A nested list as an array; its shape is that of the first elements, and all must fit it."""
    from tensorflow.python.framework import dtypes

    dtype = dtypes.as_dtype(info.dtype)
    shape = []
    first = value
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
        if len(shape) > _MAX_RANK:
            raise invalid_argument(f"Encountered a list of more than {_MAX_RANK} dimensions")
    if dtype.name == "string":
        check_strings(alias, math.prod(shape))
    flat: list[Any] = []
    _flatten(value, 0, shape, dtype.name, flat)
    try:
        return np.array(flat, dtype=dtype.as_numpy_dtype).reshape(shape)
    except OverflowError as error:
        raise invalid_argument(f"JSON Value: {_shown(value)} {error}") from None


def _flatten(value: Any, level: int, shape: list[int], dtype: str, flat: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid_argument(
                f"JSON Value: {_shown(value)} found at incorrect level: {level + 1} "
                f"in the JSON DOM. Expected at level: {len(shape)}"
            )
        flat.append(_to_element(value, dtype))
        return
    if level >= len(shape):
        raise invalid_argument(
            f"Encountered list at unexpected level: {level} expected < {len(shape)}"
        )
    if len(value) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    for item in value:
        _flatten(item, level + 1, shape, dtype, flat)


def _to_element(value: Any, dtype: str) -> Any:
    if dtype == "string":
        if isinstance(value, dict):
            return _decode_base64(value)
        if isinstance(value, str):
            return value.encode("utf-8", "surrogatepass")
    elif dtype == "bool":
        if isinstance(value, bool):
            return value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if dtype not in _INTEGER_BOUNDS:
            return value
        low, high = _INTEGER_BOUNDS[dtype]
        if isinstance(value, int) and low <= value <= high:
            return value
    kind = {dict: "Object", str: "String", bool: str(value), type(None): "Null"}.get(
        type(value), "Number"
    )
    raise invalid_argument(
        f"JSON Value: {_shown(value)} Type: {kind} is not of expected type: {dtype}"
    )


def _decode_base64(value: dict[str, Any]) -> bytes:
    if not _is_base64(value):
        raise invalid_argument(
            f"JSON Value: {_shown(value)} not formatted correctly for base64 data"
        )
    try:
        text = b"".join(value["b64"].encode("ascii").split())  # many encoders break the lines
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise invalid_argument("Unable to base64 decode") from None


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _to_json(name: str, array: np.ndarray) -> Any:
    if array.dtype == object:
        if name.endswith("_bytes"):
            encoded = [{"b64": base64.b64encode(item).decode()} for item in array.flat]
        else:
            encoded = [item.decode("utf-8", "replace") for item in array.flat]
        return _nested(encoded, array.shape)
    if array.dtype.name in ("float32", "float16"):
        # The shortest text that gives the same number back: 0.2, not 0.20000000298023224.
        flat = array.ravel()
        parts = (flat[start : start + _AT_ONCE] for start in range(0, len(flat), _AT_ONCE))
        return _nested([float(text) for part in parts for text in part.astype(str)], array.shape)
    return array.tolist()


def _nested(flat: list[Any], shape: tuple[int, ...]) -> Any:
    return np.array(flat, dtype=object).reshape(shape).tolist()


def _shown(value: Any) -> str:
    text = ""
    try:
        for part in json.JSONEncoder(default=str).iterencode(value):
            text += part[:_DEBUG_LIMIT]
            if len(text) >= _DEBUG_LIMIT:
                break
    except RecursionError:  # nested as deep as could just be read
        return "(deeply nested)"
    return text[:_DEBUG_LIMIT]
