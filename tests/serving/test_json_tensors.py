"""JSON tensors of the types that the pneumonia model has none of. (util/json_tensor.cc)"""

import json
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow.core.protobuf import meta_graph_pb2

from serving.errors import ServingError
from serving.json_tensors import Layout, parse_request, read_inputs, write_outputs


def signature(**dtypes: str) -> Any:
    made = meta_graph_pb2.SignatureDef()
    for name, dtype in dtypes.items():
        text_format.Parse(
            f"dtype: {dtype} tensor_shape {{ unknown_rank: true }}", made.inputs[name]
        )
    return made


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        ("DT_FLOAT", [[1, 2.5], [3, 4]], np.array([[1, 2.5], [3, 4]], np.float32)),
        ("DT_INT32", [1, -2], np.array([1, -2], np.int32)),
        ("DT_UINT8", [255], np.array([255], np.uint8)),
        ("DT_BOOL", [True, False], np.array([True, False])),
        ("DT_STRING", ["é", {"b64": "AAE"}], np.array(["é".encode(), b"\x00\x01"], object)),
        ("DT_STRING", [{"b64": "aGVs\nbG8=\n"}], np.array([b"hello"], object)),
        ("DT_DOUBLE", 0.5, np.array(0.5)),
    ],
)
def test_values_become_arrays_of_the_signatures_type(
    dtype: str, value: Any, expected: np.ndarray
) -> None:
    layout, arrays = read_inputs({"inputs": value}, signature(x=dtype))

    assert layout is Layout.COLUMN
    assert arrays["x"].dtype == expected.dtype
    np.testing.assert_array_equal(arrays["x"], expected)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("DT_INT32", [2**31]),
        ("DT_INT32", [1.5]),
        ("DT_INT32", [True]),
        ("DT_UINT8", [-1]),
        ("DT_FLOAT", ["1"]),
        ("DT_FLOAT", [10**400]),
        ("DT_BOOL", [1]),
        ("DT_STRING", [1]),
    ],
)
def test_values_of_another_type_are_refused(dtype: str, value: Any) -> None:
    with pytest.raises(ServingError):
        read_inputs({"inputs": value}, signature(x=dtype))


def test_a_body_of_brackets_is_refused_before_it_is_read() -> None:
    with pytest.raises(ServingError, match="more than 500,000 values"):
        parse_request(b'{"instances": [' + b"[]," * 2_000_000 + b"1]}")


def test_rows_of_several_inputs_are_stacked() -> None:
    rows = [{"tag": "a", "signal": [1, 2]}, {"tag": "b", "signal": [3, 4]}]

    layout, arrays = read_inputs({"instances": rows}, signature(tag="DT_STRING", signal="DT_FLOAT"))

    assert layout is Layout.ROW
    assert arrays["tag"].tolist() == [b"a", b"b"]
    assert arrays["signal"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_several_inputs_need_names(key: str) -> None:
    with pytest.raises(ServingError, match="multiple input tensors required"):
        read_inputs({key: [1]}, signature(a="DT_FLOAT", b="DT_FLOAT"))


def test_a_single_output_goes_without_its_name() -> None:
    outputs = {"y": np.array([1.5, 2.0], np.float32)}

    assert write_outputs(Layout.ROW, outputs) == {"predictions": [1.5, 2.0]}
    assert write_outputs(Layout.COLUMN, outputs) == {"outputs": [1.5, 2.0]}


def test_rows_of_different_length_cannot_be_listed_as_rows() -> None:
    outputs = {"a": np.zeros(2), "b": np.zeros(3)}

    with pytest.raises(ServingError, match="inconsistent batch size: 3 expecting: 2"):
        write_outputs(Layout.ROW, outputs)


def test_what_json_has_no_number_for_is_written_as_tensorflow_serving_does() -> None:
    outputs = {"y": np.array([np.nan, np.inf, -np.inf, 0.1], np.float32)}

    assert json.dumps(write_outputs(Layout.COLUMN, outputs)) == (
        '{"outputs": [NaN, Infinity, -Infinity, 0.1]}'
    )
