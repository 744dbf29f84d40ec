"""Predict over gRPC, good and bad requests; what to expect is TensorFlow Serving's source."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    predict_pb2,
)

from tests.serving.conftest import WAIT, InProcess, refusal
from tests.serving.tiny_model import SIDE, example, png, request

Code = grpc.StatusCode


def test_predict_answers_with_a_row_for_each_image_and_says_which_version_did(
    shared: InProcess,
) -> None:
    answer = shared.predict([png(51), png(204)])

    assert answer.model_spec.name == "pneumonia"
    assert answer.model_spec.version.value == 2  # the latest
    assert answer.model_spec.signature_name == "predict_image"
    assert set(answer.outputs) == {"probability", "threshold", "label"}
    assert list(answer.outputs["probability"].float_val) == pytest.approx([0.3, 0.9])
    assert list(answer.outputs["label"].int64_val) == [0, 1]
    assert [d.size for d in answer.outputs["label"].tensor_shape.dim] == [2]


def test_no_signature_name_means_serving_default(shared: InProcess) -> None:
    # servables/tensorflow/predict_util.cc, RunPredict: kDefaultServingSignatureDefKey
    answer = shared.predict([example(png(51))], signature="")

    assert answer.model_spec.signature_name == "serving_default"
    assert list(answer.outputs["probability"].float_val) == pytest.approx([0.3])


def test_cam_adds_the_heat_map_and_the_overlay(shared: InProcess) -> None:
    answer = shared.predict([png(51)], signature="cam")

    assert tf.make_ndarray(answer.outputs["heatmap"]).shape == (1, SIDE, SIDE)
    assert answer.outputs["overlay_png_bytes"].string_val[0].startswith(b"\x89PNG")


def test_a_version_or_a_label_can_be_asked_for(shared: InProcess) -> None:
    by_number, by_label = request("predict_image", [png(51)]), request("predict_image", [png(51)])
    by_number.model_spec.version.value = 1
    by_label.model_spec.version_label = "stable"

    for message in (by_number, by_label):
        answer = shared.prediction.Predict(message, timeout=WAIT)
        assert answer.model_spec.version.value == 1
        assert list(answer.outputs["probability"].float_val) == pytest.approx([0.2])


def test_the_output_filter_is_honoured(shared: InProcess) -> None:
    message = request("cam", [png(51)])
    message.output_filter.append("label")

    assert set(shared.prediction.Predict(message, timeout=WAIT).outputs) == {"label"}


def without_model_spec(message: predict_pb2.PredictRequest) -> None:
    message.ClearField("model_spec")


def without_name(message: predict_pb2.PredictRequest) -> None:
    message.model_spec.name = ""


def unknown_model(message: predict_pb2.PredictRequest) -> None:
    message.model_spec.name = "nobody"


def unknown_version(message: predict_pb2.PredictRequest) -> None:
    message.model_spec.version.value = 9


def unknown_label(message: predict_pb2.PredictRequest) -> None:
    message.model_spec.version_label = "canary"


def unknown_signature(message: predict_pb2.PredictRequest) -> None:
    message.model_spec.signature_name = "nothing"


def no_input(message: predict_pb2.PredictRequest) -> None:
    message.inputs.clear()


def wrong_input(message: predict_pb2.PredictRequest) -> None:
    message.inputs["pixels"].CopyFrom(message.inputs.pop("image_bytes"))


def extra_input(message: predict_pb2.PredictRequest) -> None:
    message.inputs["pixels"].CopyFrom(message.inputs["image_bytes"])


def unknown_output(message: predict_pb2.PredictRequest) -> None:
    message.output_filter.append("logit")


def repeated_output(message: predict_pb2.PredictRequest) -> None:
    message.output_filter.extend(["label", "label"])


def wrong_dtype(message: predict_pb2.PredictRequest) -> None:
    message.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([1.0]))


def wrong_rank(message: predict_pb2.PredictRequest) -> None:
    message.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([[b"x"]]))


def broken_tensor(message: predict_pb2.PredictRequest) -> None:
    message.inputs["image_bytes"].tensor_shape.dim[0].size = 10**15


def negative_shape(message: predict_pb2.PredictRequest) -> None:
    message.inputs["image_bytes"].tensor_shape.dim[0].size = -3


def not_an_image(message: predict_pb2.PredictRequest) -> None:
    message.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([b"no image"]))


def too_many_strings(message: predict_pb2.PredictRequest) -> None:
    message.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([b""] * 1025))


def truncated_image(message: predict_pb2.PredictRequest) -> None:
    message.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([png(51)[:40]]))


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        # servables/tensorflow/predict_impl.cc
        (without_model_spec, Code.INVALID_ARGUMENT, "Missing ModelSpec"),
        # model_servers/server_core.cc, ServableRequestFromModelSpec
        (without_name, Code.INVALID_ARGUMENT, "ModelSpec has no name specified."),
        (unknown_label, Code.INVALID_ARGUMENT, "Unrecognized servable version label: canary"),
        # core/basic_manager.cc, GetUntypedServableHandle; core/manager.h, DebugString
        (unknown_model, Code.NOT_FOUND, "Servable not found for request: Latest(nobody)"),
        (
            unknown_version,
            Code.NOT_FOUND,
            "Servable not found for request: Specific(pneumonia, 9)",
        ),
        # servables/tensorflow/predict_util.cc
        (
            unknown_signature,
            Code.FAILED_PRECONDITION,
            'Serving signature key "nothing" not found.',
        ),
        (
            no_input,
            Code.INVALID_ARGUMENT,
            "input size does not match signature: 0!=1 len({}) != len({image_bytes}). "
            "Sent extra: {}. Missing but required: {image_bytes}.",
        ),
        (
            extra_input,
            Code.INVALID_ARGUMENT,
            "input size does not match signature: 2!=1 len({image_bytes,pixels}) != "
            "len({image_bytes}). Sent extra: {pixels}. Missing but required: {}.",
        ),
        (
            unknown_output,
            Code.INVALID_ARGUMENT,
            "output tensor alias not found in signature: logit Outputs expected to be in the "
            "set {label,probability,threshold}.",
        ),
        (repeated_output, Code.INVALID_ARGUMENT, "duplicate output tensor alias: label"),
        # tensorflow/cc/saved_model/util.cc, GetInputValues
        (wrong_input, Code.INVALID_ARGUMENT, "Signature input alias: image_bytes(feed name: "),
        (broken_tensor, Code.INVALID_ARGUMENT, "tensor parsing error: image_bytes"),
        (negative_shape, Code.INVALID_ARGUMENT, "tensor parsing error: image_bytes"),
        (too_many_strings, Code.INVALID_ARGUMENT, "has 1025 strings; at most 1024 go into one"),
        # TensorFlow names the argument's position; the tensor's name is added here
        (wrong_dtype, Code.INVALID_ARGUMENT, "image_bytes: expects string but float"),
        (wrong_rank, Code.INVALID_ARGUMENT, "image_bytes has shape [1, 1]"),
        # tensorflow/core/kernels/image/decode_image_op.cc
        (not_an_image, Code.INVALID_ARGUMENT, "Unknown image file format."),
        (truncated_image, Code.INVALID_ARGUMENT, "PNG"),
    ],
)
def test_a_bad_predict_request_gets_the_code_and_the_reason(
    shared: InProcess, spoil: Callable[[Any], None], code: grpc.StatusCode, words: str
) -> None:
    message = request("predict_image", [png(51)])
    spoil(message)

    actual, details = refusal(shared.prediction.Predict, message)

    assert actual is code
    assert words in details


def test_a_long_error_message_is_cut(shared: InProcess) -> None:
    # model_servers/grpc_status_util.cc: 1024 characters
    message = request("predict_image", [png(51)])
    message.model_spec.name = "x" * 5000

    _, details = refusal(shared.prediction.Predict, message)

    assert len(details) == 1024 + len("...TRUNCATED")
    assert details.endswith("...TRUNCATED")


def test_bytes_that_are_no_message_are_refused_and_the_server_goes_on(shared: InProcess) -> None:
    raw = shared.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")

    code, _ = refusal(raw, b"\xff\xff\xff")

    assert code is Code.INTERNAL
    assert shared.predict([png(51)]).model_spec.version.value == 2


def test_an_image_sent_as_an_example_gets_tensorflows_words_and_a_hint(shared: InProcess) -> None:
    message = request("serving_default", [b"\xff\xd8\xff\xe0" + bytes(5000)])  # as a JPEG starts

    code, details = refusal(shared.prediction.Predict, message)

    assert code is Code.INVALID_ARGUMENT
    assert "Could not parse example input" in details
    assert "predict_image takes an image's own bytes" in details
