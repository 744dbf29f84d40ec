"""Every RPC, with good and bad requests; what to expect is TensorFlow Serving's source, named."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from tests.serving.conftest import WAIT, InProcess
from tests.serving.tiny_model import SIDE, example, png, request

Code = grpc.StatusCode


def refusal(call: Callable[..., Any], message: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(message, timeout=WAIT)
    return caught.value.code(), caught.value.details()


# Predict


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


# GetModelMetadata


def test_metadata_holds_every_signature(shared: InProcess) -> None:
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    message.model_spec.name = "pneumonia"

    answer = shared.prediction.GetModelMetadata(message, timeout=WAIT)

    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "predict_image", "cam"} <= set(signatures.signature_def)
    assert answer.model_spec.version.value == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        # servables/tensorflow/get_model_metadata_impl.cc
        ([], "GetModelMetadataRequest must specify at least one metadata_field"),
        (["weights"], "Metadata field weights is not supported"),
    ],
)
def test_metadata_that_is_not_there_is_refused(
    shared: InProcess, fields: list[str], words: str
) -> None:
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    message.model_spec.name = "pneumonia"

    assert refusal(shared.prediction.GetModelMetadata, message) == (Code.INVALID_ARGUMENT, words)


def test_metadata_needs_a_model_spec(shared: InProcess) -> None:
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])

    code, details = refusal(shared.prediction.GetModelMetadata, message)

    assert (code, details) == (Code.INVALID_ARGUMENT, "Missing ModelSpec")


# Classify, Regress, MultiInference


def test_classify_is_refused_for_a_model_without_such_a_signature(shared: InProcess) -> None:
    # servables/tensorflow/classifier.cc, PreProcessClassification
    message = classification_pb2.ClassificationRequest()
    message.model_spec.name = "pneumonia"

    code, details = refusal(shared.prediction.Classify, message)

    assert code is Code.INVALID_ARGUMENT
    assert details == "Expected one or two output Tensors, found 3"


def test_regress_is_refused_for_a_model_without_such_a_signature(shared: InProcess) -> None:
    # servables/tensorflow/regressor.cc, PreProcessRegression
    message = regression_pb2.RegressionRequest()
    message.model_spec.name = "pneumonia"

    code, details = refusal(shared.prediction.Regress, message)

    assert (code, details) == (Code.INVALID_ARGUMENT, "Expected one output Tensor.")


@pytest.mark.parametrize(
    ("rpc", "message"),
    [
        ("Classify", classification_pb2.ClassificationRequest()),
        ("Regress", regression_pb2.RegressionRequest()),
    ],
)
def test_classify_and_regress_name_a_missing_signature(
    shared: InProcess, rpc: str, message: Any
) -> None:
    # GetClassificationSignatureDef, GetRegressionSignatureDef
    message.model_spec.name = "pneumonia"
    message.model_spec.signature_name = "nothing"

    code, details = refusal(getattr(shared.prediction, rpc), message)

    assert code is Code.INVALID_ARGUMENT
    assert details == "No signature was found with the name: nothing"


def task(method: str, model: str = "pneumonia", signature: str = "") -> inference_pb2.InferenceTask:
    message = inference_pb2.InferenceTask(method_name=method)
    message.model_spec.name = model
    message.model_spec.signature_name = signature
    return message


CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


@pytest.mark.parametrize(
    ("tasks", "code", "words"),
    [
        # servables/tensorflow/multi_inference_helper.cc: the first task's (empty) ModelSpec
        ([], Code.INVALID_ARGUMENT, "ModelSpec has no name specified."),
        ([task(CLASSIFY, "nobody")], Code.NOT_FOUND, "Servable not found for request"),
        # servables/tensorflow/multi_inference.cc
        ([task(CLASSIFY)], Code.INVALID_ARGUMENT, "Expected one or two output Tensors, found 3"),
        ([task(REGRESS)], Code.INVALID_ARGUMENT, "Expected one output Tensor."),
        (
            [task(CLASSIFY, signature="nothing")],
            Code.INVALID_ARGUMENT,
            "Requested signature not found in model graph: nothing",
        ),
        ([task("predict")], Code.UNIMPLEMENTED, "Unsupported signature method_name: predict"),
    ],
)
def test_multi_inference_is_refused(
    shared: InProcess, tasks: list[Any], code: grpc.StatusCode, words: str
) -> None:
    message = inference_pb2.MultiInferenceRequest(tasks=tasks)

    actual, details = refusal(shared.prediction.MultiInference, message)

    assert actual is code
    assert words in details


# GetModelStatus


def test_status_lists_the_versions_newest_first(shared: InProcess) -> None:
    # model_servers/get_model_status_impl.cc; core/servable_state_monitor.h, VersionMap
    message = get_model_status_pb2.GetModelStatusRequest()
    message.model_spec.name = "pneumonia"

    answer = shared.models.GetModelStatus(message, timeout=WAIT)

    assert [s.version for s in answer.model_version_status] == [2, 1]
    for status in answer.model_version_status:
        assert status.state == get_model_status_pb2.ModelVersionStatus.AVAILABLE
        assert status.HasField("status")
        assert status.status.error_code == 0


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        ("nobody", None, "Could not find any versions of model nobody"),
        ("pneumonia", 9, "Could not find version 9 of model pneumonia"),
    ],
)
def test_status_of_what_is_not_there_is_not_found(
    shared: InProcess, name: str, version: int | None, words: str
) -> None:
    message = get_model_status_pb2.GetModelStatusRequest()
    message.model_spec.name = name
    if version:
        message.model_spec.version.value = version

    assert refusal(shared.models.GetModelStatus, message) == (Code.NOT_FOUND, words)


def test_status_needs_a_model_spec(shared: InProcess) -> None:
    message = get_model_status_pb2.GetModelStatusRequest()

    code, details = refusal(shared.models.GetModelStatus, message)

    assert (code, details) == (Code.INVALID_ARGUMENT, "Missing ModelSpec")


# HandleReloadConfigRequest


@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        # model_servers/model_service_impl.cc
        ("", Code.INVALID_ARGUMENT, "ServerModelConfig type not supported"),
        # model_servers/server_core.cc, ValidateModelConfigList, GetPlatform
        (
            'config { name: "a" base_path: "models" model_platform: "tensorflow" }',
            Code.INVALID_ARGUMENT,
            "Expected model a to have an absolute path or URI; got base_path()=models",
        ),
        (
            'config { name: "a" base_path: "/m" } config { name: "a" base_path: "/n" }',
            Code.INVALID_ARGUMENT,
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor",
        ),
        (
            'config { name: "a" base_path: "/m" model_platform: "tensorflow" }'
            'config { name: "a" base_path: "/n" model_platform: "tensorflow" }',
            Code.INVALID_ARGUMENT,
            "Illegal to list model a multiple times in config list",
        ),
        (
            'config { name: "a" base_path: "/m" model_platform: "caffe" }',
            Code.INVALID_ARGUMENT,
            "Model a requests unsupported platform caffe",
        ),
        # UpdateModelVersionLabelMap
        (
            'config { name: "pneumonia" base_path: "/m" model_platform: "tensorflow" '
            'version_labels { key: "stable" value: 9 } }',
            Code.FAILED_PRECONDITION,
            "Request to assign label to version 9 of model pneumonia, which is not currently "
            "available for inference",
        ),
    ],
)
def test_a_configuration_that_is_not_allowed_changes_nothing(
    shared: InProcess, config: str, code: grpc.StatusCode, words: str
) -> None:
    from google.protobuf import text_format

    message = model_management_pb2.ReloadConfigRequest()
    if config:
        text_format.Parse(config, message.config.model_config_list)
    before = shared.states()

    actual, details = refusal(shared.models.HandleReloadConfigRequest, message)

    assert actual is code
    assert words in details
    assert shared.states() == before


# Health and reflection, of grpcio's own packages


@pytest.mark.parametrize(
    "service",
    [
        "",
        "pneumonia",
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
    ],
)
def test_health_is_told_for_the_server_its_services_and_each_model(
    shared: InProcess, service: str
) -> None:
    stub = health_pb2_grpc.HealthStub(shared.channel)

    answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=WAIT)

    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_health_of_an_unknown_model_is_not_found(shared: InProcess) -> None:
    stub = health_pb2_grpc.HealthStub(shared.channel)

    code, _ = refusal(stub.Check, health_pb2.HealthCheckRequest(service="nobody"))

    assert code is Code.NOT_FOUND


def test_reflection_lists_the_services(shared: InProcess) -> None:
    services = ProtoReflectionDescriptorDatabase(shared.channel).get_services()

    assert {
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        "grpc.health.v1.Health",
    } <= set(services)
