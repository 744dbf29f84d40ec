"""The text protos that tensorflow_model_server's flags name, and what they may say."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message,
    message_factory,
    text_format,
    wrappers_pb2,
)

from serving.batching import BatchingParameters
from serving.errors import failed_precondition, invalid_argument

_PLAIN_PATH = re.compile(r"/[\w./~-]*")


class ConfigFileError(ValueError):
    """A file that cannot be used; the message names the file and what is wrong in it."""


# tensorflow-serving-api ships no Python for these three, so their fields are stated here:
# name, number, type. (servables/tensorflow/session_bundle_config.proto,
# config/monitoring_config.proto, config/ssl_config.proto)
_MESSAGES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "BatchingParameters": (
        ("max_batch_size", 1, ".google.protobuf.Int64Value"),
        ("batch_timeout_micros", 2, ".google.protobuf.Int64Value"),
        ("max_enqueued_batches", 3, ".google.protobuf.Int64Value"),
        ("num_batch_threads", 4, ".google.protobuf.Int64Value"),
        ("thread_pool_name", 5, ".google.protobuf.StringValue"),
        ("allowed_batch_sizes", 6, "repeated int64"),
        ("pad_variable_length_inputs", 7, "bool"),
        ("enable_large_batch_splitting", 8, ".google.protobuf.BoolValue"),
        ("max_execution_batch_size", 9, ".google.protobuf.Int64Value"),
    ),
    "PrometheusConfig": (("enable", 1, "bool"), ("path", 2, "string")),
    "MonitoringConfig": (("prometheus_config", 1, ".tensorflow.serving.PrometheusConfig"),),
    "SSLConfig": (
        ("server_key", 1, "string"),
        ("server_cert", 2, "string"),
        ("custom_ca", 3, "string"),
        ("client_verify", 4, "bool"),
    ),
}


def read_model_config(path: Path) -> Any:
    """The ModelServerConfig in a text file. Raises ConfigFileError."""
    from tensorflow_serving.config import model_server_config_pb2

    return _parse(path, model_server_config_pb2.ModelServerConfig())


def single_model_config(name: str, base_path: str, log: Path | None = None) -> Any:
    """Writes what --model_name, --model_base_path and --request_log say as a ModelServerConfig.

    Args:
        name: the model's.
        base_path: the folder of its versions.
        log: folder and beginning of the request log's files, which then get every request.

    Returns:
        The message.
    """
    from tensorflow_serving.config import model_server_config_pb2

    config = model_server_config_pb2.ModelServerConfig()
    model = config.model_config_list.config.add(
        name=name, base_path=str(Path(base_path).absolute()), model_platform="tensorflow"
    )
    if log:
        model.logging_config.log_collector_config.filename_prefix = str(log.absolute())
        model.logging_config.sampling_config.sampling_rate = 1
    return config


def read_batching_parameters(path: Path) -> BatchingParameters:
    """The BatchingParameters in a text file. Raises ConfigFileError."""
    proto = _parse(path, _new("BatchingParameters"))
    wrapped = {
        field.name: value.value
        for field, value in proto.ListFields()
        if hasattr(value, "DESCRIPTOR") and field.name != "max_execution_batch_size"
    }
    sizes = tuple(proto.allowed_batch_sizes)
    parameters = BatchingParameters(allowed_batch_sizes=sizes, **wrapped)
    if proto.pad_variable_length_inputs or proto.HasField("max_execution_batch_size"):
        raise ConfigFileError(
            f"{path}: pad_variable_length_inputs and max_execution_batch_size are not supported; "
            "remove them (every input of this model has one length)"
        )
    if min(parameters.max_batch_size, parameters.num_batch_threads) < 1:
        raise ConfigFileError(f"{path}: max_batch_size and num_batch_threads must be at least 1")
    if sizes and (list(sizes) != sorted(set(sizes)) or sizes[-1] != parameters.max_batch_size):
        raise ConfigFileError(
            f"{path}: allowed_batch_sizes must rise and end with max_batch_size "
            f"({parameters.max_batch_size})"
        )
    return parameters


def read_prometheus_path(path: Path) -> str | None:
    """Where the metrics are served, by a MonitoringConfig in a text file; None: nowhere.

    Raises ConfigFileError.
    """
    config = _parse(path, _new("MonitoringConfig")).prometheus_config
    if config.path and not _PLAIN_PATH.fullmatch(config.path):
        raise ConfigFileError(f"{path}: path {config.path!r} must be plain and start with /")
    return (config.path or DEFAULT_PROMETHEUS_PATH) if config.enable else None


def read_ssl_config(path: Path) -> Any:
    """The SSLConfig in a text file: server_key, server_cert, custom_ca, client_verify.

    Raises ConfigFileError, which never shows the file's content: it holds a private key.
    """
    try:
        config = _parse(path, _new("SSLConfig"))
    except ConfigFileError:
        raise ConfigFileError(f"{path}: not a text SSLConfig") from None
    if not config.server_key or not config.server_cert:
        raise ConfigFileError(f"{path}: server_key and server_cert are both needed")
    if config.client_verify and not config.custom_ca:
        raise ConfigFileError(f"{path}: client_verify needs custom_ca, to know the callers by")
    return config


DEFAULT_PROMETHEUS_PATH = "/monitoring/prometheus/metrics"  # util/prometheus_exporter.cc


def _parse(path: Path, into: message.Message) -> Any:
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), into)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigFileError(f"{path}: cannot be read ({error})") from error
    except text_format.ParseError as error:
        raise ConfigFileError(f"{path}:{error}") from error


def _new(name: str) -> Any:
    return _classes()[f"tensorflow.serving.{name}"]()


@cache
def _classes() -> dict[str, Any]:
    """The messages of `_MESSAGES`, in a pool of their own: they may be registered elsewhere too."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name="serving_config.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    field_type = descriptor_pb2.FieldDescriptorProto
    for name, fields in _MESSAGES.items():
        descriptor = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            field = descriptor.field.add(name=field_name, number=number)
            field.label = field_type.LABEL_OPTIONAL
            if kind.startswith("repeated "):
                field.label = field_type.LABEL_REPEATED
            if kind.startswith("."):
                field.type, field.type_name = field_type.TYPE_MESSAGE, kind
            else:
                field.type = field_type.Type.Value(f"TYPE_{kind.split()[-1].upper()}")
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles([file.name], pool)


def check_config(config: Any, current: Mapping[str, Any]) -> None:
    """Checks a ModelServerConfig.

    Args:
        config: the message.
        current: the models that are configured now, ModelConfig by name.

    Raises:
        ServingError: INVALID_ARGUMENT or FAILED_PRECONDITION, one message for one fault.

    Source: model_servers/server_core.cc.
    """
    if config.WhichOneof("config") == "custom_model_config":
        raise failed_precondition(
            "Cannot transition to requested config. It is only legal to transition "
            "from one ModelConfigList to another."
        )
    names = set()
    for model in config.model_config_list.config:
        if model.name in names:
            raise invalid_argument(
                f"Illegal to list model {model.name} multiple times in config list"
            )
        names.add(model.name)
        if not Path(model.base_path).is_absolute():
            raise invalid_argument(
                f"Expected model {model.name} to have an absolute path or URI; "
                f"got base_path()={model.base_path}"
            )
        platform = _platform(model)
        if model.name in current and platform != (old := _platform(current[model.name])):
            raise invalid_argument(
                f"Illegal to change a model's platform. For model {model.name} platform was "
                f"{old} and new platform requested is {platform}"
            )
        if platform != "tensorflow":
            raise invalid_argument(f"Model {model.name} requests unsupported platform {platform}")
        if model.HasField("logging_config"):
            # core/server_request_logger.cc; those in this server's own files were taken out
            raise invalid_argument("No request-logger-creator provided.")


def _platform(model: Any) -> str:
    if model.model_platform:
        return model.model_platform
    raise invalid_argument(
        "Illegal setting neither ModelServerConfig::model_type (deprecated) "
        f"nor ModelServerConfig::model_platform, model name is {model.name}"
    )
