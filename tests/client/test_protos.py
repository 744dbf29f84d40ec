"""The messages and tensors against the official ones, and the weight of the import."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import protos, tensors


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_library_brings_no_tensorflow_along():
    loaded = run("""
import sys, client
client.PneumoniaClient, client.AsyncPneumoniaClient, client.read
print(*(name for name in sys.modules if name.startswith(("tensorflow", "keras", "tfx"))))
""")
    assert loaded.split() == []


def test_importing_the_package_loads_nothing_else():
    loaded = run("import sys, client; print('grpc' in sys.modules, 'numpy' in sys.modules)")
    assert loaded.split() == ["False", "False"]


COMPARISON = """
import sys
{first}
{second}
from google.protobuf import symbol_database  # the default pool still works
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

def compare(ours, theirs, seen):
    if ours.full_name in seen:
        return
    seen.add(ours.full_name)
    for field in ours.fields:
        official = theirs.fields_by_name[field.name]
        assert field.number == official.number, field.full_name
        assert field.is_repeated == official.is_repeated, field.full_name
        enum = official.type == official.TYPE_ENUM
        assert field.type == (field.TYPE_INT32 if enum else official.type), field.full_name
        if field.message_type:
            compare(field.message_type, official.message_type, seen)

seen = set()
for name in ("GetModelStatus", "GetModelMetadata", "Predict"):
    module = {{"GetModelStatus": get_model_status_pb2, "GetModelMetadata": get_model_metadata_pb2,
              "Predict": predict_pb2}}[name]
    for kind in (name + "Request", name + "Response"):
        compare(getattr(protos, kind).DESCRIPTOR, getattr(module, kind).DESCRIPTOR, seen)
compare(protos.SignatureDefMap.DESCRIPTOR, get_model_metadata_pb2.SignatureDefMap.DESCRIPTOR, seen)

import numpy as np, tensorflow as tf
from client import tensors
for array in (np.float32([[1, 2], [3, 4]]), np.float32([[7] * 5]), np.int64([3, -1]), np.uint8([9]),
              np.array([True, False]), np.float64(2.5), np.zeros((0, 3), np.int32)):
    official = tf.make_tensor_proto(array)
    ours = protos.TensorProto.FromString(official.SerializeToString())
    got = tensors.to_numpy(ours)
    assert got.dtype == array.dtype and np.array_equal(got, array), (got, array)
request = protos.PredictRequest()
request.inputs["image_bytes"].CopyFrom(tensors.from_bytes([b"\\x00\\xff", b""]))
official = predict_pb2.PredictRequest.FromString(request.SerializeToString())
assert tf.make_ndarray(official.inputs["image_bytes"]).tolist() == [b"\\x00\\xff", b""]
print(len(seen))
"""


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("import tensorflow", "from client import protos"),
        ("from client import protos", "import tensorflow"),
    ],
    ids=["tensorflow first", "client first"],
)
def test_messages_are_those_of_tensorflow_serving_beside_tensorflow(first, second):
    assert int(run(COMPARISON.format(first=first, second=second))) > 15


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_byte_strings_survive_the_wire(values):
    sent = tensors.from_bytes(values).SerializeToString()
    assert tensors.to_numpy(protos.TensorProto.FromString(sent)).tolist() == values


def tensor(shape, **fields):
    proto = protos.TensorProto(**fields)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def test_the_last_value_stands_for_the_rest():
    got = tensors.to_numpy(tensor((2, 3), dtype=1, float_val=[1.0, 0.5]))
    assert got.tolist() == [[1.0, 0.5, 0.5], [0.5, 0.5, 0.5]]


@pytest.mark.parametrize(
    "proto",
    [
        tensor((2,), dtype=99),
        tensor((2**40,), dtype=1, float_val=[1.0]),
        tensor((-1,), dtype=1, float_val=[1.0]),
        tensor((2,), dtype=1, tensor_content=b"123"),
        tensor((2,), dtype=7, tensor_content=b"12"),
        tensor((2,), dtype=1, float_val=[1.0, 2.0, 3.0]),
        tensor((2,), dtype=1),
    ],
    ids=["type", "huge", "negative", "content", "string content", "too many", "none"],
)
def test_a_tensor_that_makes_no_sense_is_refused(proto):
    with pytest.raises(tensors.TensorError):
        tensors.to_numpy(proto)


def test_content_is_little_endian_whatever_the_machine():
    got = tensors.to_numpy(tensor((2,), dtype=1, tensor_content=b"\0\0\x80\x3f\0\0\0\0"))
    assert np.array_equal(got, np.float32([1, 0]))
