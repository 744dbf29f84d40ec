"""Every RPC but Predict, good and bad requests; what to expect is TensorFlow Serving's source."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format
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
    regression_pb2,
)

from tests.serving.conftest import WAIT, InProcess, refusal

Code = grpc.StatusCode


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
        # core/server_request_logger.cc
        (
            'config { name: "pneumonia" base_path: "/m" model_platform: "tensorflow" '
            'logging_config { log_collector_config { type: "x" filename_prefix: "/logs" } } }',
            Code.INVALID_ARGUMENT,
            "No request-logger-creator provided.",
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


def test_health_of_a_model_that_is_served_no_longer_is_unknown(exported: Path) -> None:
    def only(name: str) -> model_management_pb2.ReloadConfigRequest:
        config = f'config {{ name: "{name}" base_path: "{exported}" model_platform: "tensorflow" }}'
        message = model_management_pb2.ReloadConfigRequest()
        text_format.Parse(config, message.config.model_config_list)
        return message

    server = InProcess([f"--model_base_path={exported}", "--model_name=first"])
    try:
        stub = health_pb2_grpc.HealthStub(server.channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="first"), timeout=WAIT)
        seen = (answer.status for answer in watch)
        wanted = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        server.models.HandleReloadConfigRequest(only("second"), timeout=WAIT)
        assert wanted in seen
        watch.cancel()
    finally:
        server.stop()


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
