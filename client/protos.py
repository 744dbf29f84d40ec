"""The messages of TensorFlow Serving's API, built from their field numbers in a pool of our own.

The official classes (package tensorflow-serving-api) require TensorFlow, and protobuf's default
pool accepts a message name once only. A private pool speaks the same bytes, weighs nothing and
cannot clash with a TensorFlow that the same process imports, before or after. Fields that the
client never reads are left out; protobuf skips them.

Source: tensorflow/serving, tensorflow_serving/apis/*.proto; tensorflow/core/framework/tensor.proto,
tensor_shape.proto, types.proto; tensorflow/core/protobuf/meta_graph.proto.
"""

from typing import Any, Final

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    wrappers_pb2,
)

_Field = descriptor_pb2.FieldDescriptorProto

_SCALARS: Final = {
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "double": _Field.TYPE_DOUBLE,
    "enum": _Field.TYPE_INT32,  # the same on the wire, and no list of values to keep
    "float": _Field.TYPE_FLOAT,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "string": _Field.TYPE_STRING,
}

# "message": {"field": (number, "[repeated] type" or "map value type")}
_TENSORFLOW: Final = {
    "TensorShapeProto": {
        "dim": (2, "repeated .tensorflow.Dim"),
        "unknown_rank": (3, "bool"),
    },
    "Dim": {"size": (1, "int64"), "name": (2, "string")},
    "TensorProto": {
        "dtype": (1, "enum"),
        "tensor_shape": (2, ".tensorflow.TensorShapeProto"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "repeated float"),
        "double_val": (6, "repeated double"),
        "int_val": (7, "repeated int32"),
        "string_val": (8, "repeated bytes"),
        "int64_val": (10, "repeated int64"),
        "bool_val": (11, "repeated bool"),
    },
    "TensorInfo": {
        "name": (1, "string"),
        "dtype": (2, "enum"),
        "tensor_shape": (3, ".tensorflow.TensorShapeProto"),
    },
    "SignatureDef": {
        "inputs": (1, "map .tensorflow.TensorInfo"),
        "outputs": (2, "map .tensorflow.TensorInfo"),
        "method_name": (3, "string"),
    },
}

_SERVING: Final = {
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, ".google.protobuf.Int64Value"),
        "signature_name": (3, "string"),
        "version_label": (4, "string"),
    },
    "PredictRequest": {
        "model_spec": (1, ".tensorflow.serving.ModelSpec"),
        "inputs": (2, "map .tensorflow.TensorProto"),
        "output_filter": (3, "repeated string"),
    },
    "PredictResponse": {
        "outputs": (1, "map .tensorflow.TensorProto"),
        "model_spec": (2, ".tensorflow.serving.ModelSpec"),
    },
    "StatusProto": {"error_code": (1, "enum"), "error_message": (2, "string")},
    "ModelVersionStatus": {
        "version": (1, "int64"),
        "state": (2, "enum"),
        "status": (3, ".tensorflow.serving.StatusProto"),
    },
    "GetModelStatusRequest": {"model_spec": (1, ".tensorflow.serving.ModelSpec")},
    "GetModelStatusResponse": {
        "model_version_status": (1, "repeated .tensorflow.serving.ModelVersionStatus"),
    },
    "GetModelMetadataRequest": {
        "model_spec": (1, ".tensorflow.serving.ModelSpec"),
        "metadata_field": (2, "repeated string"),
    },
    "GetModelMetadataResponse": {
        "model_spec": (1, ".tensorflow.serving.ModelSpec"),
        "metadata": (2, "map .google.protobuf.Any"),
    },
    "SamplingConfig": {"sampling_rate": (1, "double")},
    "LogMetadata": {
        "model_spec": (1, ".tensorflow.serving.ModelSpec"),
        "sampling_config": (2, ".tensorflow.serving.SamplingConfig"),
    },
    "PredictLog": {
        "request": (1, ".tensorflow.serving.PredictRequest"),
        "response": (2, ".tensorflow.serving.PredictResponse"),
    },
    "PredictionLog": {
        "log_metadata": (1, ".tensorflow.serving.LogMetadata"),
        "predict_log": (6, ".tensorflow.serving.PredictLog"),
    },
    "SignatureDefMap": {"signature_def": (1, "map .tensorflow.SignatureDef")},
}


def _field(name: str, number: int, declaration: str) -> descriptor_pb2.FieldDescriptorProto:
    *label, kind = declaration.split()
    field = _Field(name=name, number=number)
    field.label = _Field.LABEL_REPEATED if label == ["repeated"] else _Field.LABEL_OPTIONAL
    if kind.startswith("."):
        field.type, field.type_name = _Field.TYPE_MESSAGE, kind
    else:
        field.type = _SCALARS[kind]
    return field


def _map_field(
    message: descriptor_pb2.DescriptorProto, owner: str, name: str, number: int, value: str
) -> descriptor_pb2.FieldDescriptorProto:
    """A map from strings: on the wire, a repeated message of key and value."""
    entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
    entry.field.extend([_field("key", 1, "string"), _field("value", 2, value)])
    entry.options.map_entry = True
    return _field(name, number, f"repeated {owner}.{entry.name}")


def _file(package: str, messages: dict[str, dict[str, tuple[int, str]]], *imports: str) -> bytes:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3", dependency=imports
    )
    for message_name, fields in messages.items():
        message = file.message_type.add(name=message_name)
        for name, (number, declaration) in fields.items():
            if declaration.startswith("map "):
                owner = f".{package}.{message_name}"
                field = _map_field(message, owner, name, number, declaration.removeprefix("map "))
            else:
                field = _field(name, number, declaration)
            message.field.append(field)
    return file.SerializeToString()


_POOL: Final = descriptor_pool.DescriptorPool()
_POOL.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
_POOL.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
_POOL.AddSerializedFile(_file("tensorflow", _TENSORFLOW))
_POOL.AddSerializedFile(
    _file(
        "tensorflow.serving",
        _SERVING,
        any_pb2.DESCRIPTOR.name,
        wrappers_pb2.DESCRIPTOR.name,
        "tensorflow.proto",
    )
)


def _message(full_name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(full_name))


# Made at run time, so they have no static type.
TensorProto: Any = _message("tensorflow.TensorProto")
PredictRequest: Any = _message("tensorflow.serving.PredictRequest")
PredictResponse: Any = _message("tensorflow.serving.PredictResponse")
GetModelStatusRequest: Any = _message("tensorflow.serving.GetModelStatusRequest")
GetModelStatusResponse: Any = _message("tensorflow.serving.GetModelStatusResponse")
GetModelMetadataRequest: Any = _message("tensorflow.serving.GetModelMetadataRequest")
GetModelMetadataResponse: Any = _message("tensorflow.serving.GetModelMetadataResponse")
PredictionLog: Any = _message("tensorflow.serving.PredictionLog")
SignatureDefMap: Any = _message("tensorflow.serving.SignatureDefMap")
