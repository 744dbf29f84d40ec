"""tensorflow_model_server's command-line flags, those of them that this server honours."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving import runtime

OWN_FLAGS = (
    *("bind_address", "drain_seconds", "precision"),
    *("request_log", "log_pixels", "log_max_megabytes", "log_max_days"),
)
# Flags of tensorflow_model_server whose loss nobody sees in an answer.
WITHOUT_EFFECT = (
    *("rest_api_num_threads", "num_load_threads", "num_unload_threads", "flush_filesystem_caches"),
    *("per_process_gpu_memory_fraction", "remove_unused_fields_from_bundle_metagraph"),
    *("prefer_tflite_model", "num_tflite_pools", "num_tflite_interpreters_per_pool"),
    *("enable_signature_method_name_check", "enable_profiler", "skip_initialize_tpu"),
    *("xla_cpu_compilation_enabled", "xla_gpu_compilation_enabled"),
)
# And those that would change what is served, to whom or how.
REFUSED = {
    "enable_per_model_batching_parameters": "name one --batching_parameters_file",
    "tensorflow_session_config_file": "give the --tensorflow_*_parallelism flags",
    "platform_config_file": "only TensorFlow's platform is served",
    "thread_pool_factory_config_file": "give the --tensorflow_*_parallelism flags",
    "mixed_precision": "give --precision=bfloat16",
    "use_alts_credentials": "give --ssl_config_file",
}


@dataclass(frozen=True)
class Flags:
    """The flags' values; names, meanings and defaults are tensorflow_model_server's.

    (model_servers/main.cc, model_servers/server.h) Those in OWN_FLAGS are ours.
    """

    port: int
    grpc_socket_path: str
    grpc_max_threads: int
    grpc_channel_arguments: str
    rest_api_port: int
    rest_api_timeout_in_ms: int
    rest_api_enable_cors_support: bool
    model_name: str
    model_base_path: str
    model_config_file: Path | None
    model_config_file_poll_wait_seconds: float
    allow_version_labels_for_unavailable_models: bool
    file_system_poll_wait_seconds: float
    max_num_load_retries: int
    load_retry_interval_micros: int
    enable_batching: bool
    batching_parameters_file: Path | None
    monitoring_config_file: Path | None
    ssl_config_file: Path | None
    enable_model_warmup: bool
    num_request_iterations_for_warmup: int
    saved_model_tags: str
    tensorflow_session_parallelism: int
    tensorflow_intra_op_parallelism: int
    tensorflow_inter_op_parallelism: int
    enable_grpc_healthcheck_service: bool
    enable_serialization_as_tensor_content: bool
    bind_address: str
    drain_seconds: float
    precision: str
    request_log: Path | None
    log_pixels: bool
    log_max_megabytes: int
    log_max_days: float
    without_effect: tuple[str, ...]  # name=value


def add_arguments(parser: argparse.ArgumentParser, rest_port: str = "0") -> None:
    """Adds the flags to a parser; it understands both `--flag=value` and `--flag value`.

    Args:
        parser: gets them.
        rest_port: what the help says is the default of `--rest_api_port`.
    """
    add = parser.add_argument
    processors = os.cpu_count() or 1
    add("--port", type=_port, default=8500, help="gRPC port; 0: none (default: 8500)")
    add("--grpc_socket_path", default="", help="UNIX socket for gRPC, besides the port")
    add(
        "--grpc_max_threads",
        type=_positive,
        default=4 * processors,
        help="most requests that are run at once (default: 4 a processor; more than one a "
        "processor is never used, as a request keeps all of them busy)",
    )
    add("--grpc_channel_arguments", default="", help="gRPC arguments: name=value,name=value")
    rest = f"HTTP port; 0: none (default: {rest_port})"
    add("--rest_api_port", type=_port, default=0, help=rest)
    add(
        "--rest_api_timeout_in_ms",
        type=_positive,
        default=30_000,
        help="time that an HTTP request may take (default: 30000)",
    )
    _boolean(
        add, "--rest_api_enable_cors_support", help="lets the pages of every site ask over HTTP"
    )
    add("--model_name", default="default", help="the model's name (default: %(default)s)")
    add("--model_base_path", default="", help="folder that holds the model's versions")
    add("--model_config_file", type=Path, help="ModelServerConfig, instead of name and base path")
    add(
        "--model_config_file_poll_wait_seconds",
        type=_seconds,
        default=0.0,
        help="how often that file is read again; 0: never (default: 0)",
    )
    _boolean(
        add,
        "--allow_version_labels_for_unavailable_models",
        help="lets a label name a version that is not loaded yet, as at the start",
    )
    add(
        "--file_system_poll_wait_seconds",
        type=_seconds,
        default=1.0,
        help="how often the folder is looked at; 0: once (default: 1)",
    )
    add(
        "--max_num_load_retries",
        type=_natural,
        default=5,
        help="how often a version that fails to load is tried again (default: 5)",
    )
    add(
        "--load_retry_interval_micros",
        type=_natural,
        default=60_000_000,
        help="time between two tries (default: one minute)",
    )
    _boolean(add, "--enable_batching", help="merges requests into batches")
    add("--batching_parameters_file", type=Path, help="BatchingParameters; needs --enable_batching")
    add("--monitoring_config_file", type=Path, help="MonitoringConfig: the Prometheus page")
    add("--ssl_config_file", type=Path, help="SSLConfig: gRPC over TLS")
    _boolean(
        add,
        "--enable_model_warmup",
        default=True,
        help="runs a version's warm-up requests before it serves (default: true)",
    )
    add(
        "--num_request_iterations_for_warmup",
        type=_natural,
        default=0,
        help="how often each warm-up request is run; 0: once (default: 0)",
    )
    add("--saved_model_tags", default="serve", help="tags of the graph (default: serve)")
    for name in ("session", "intra_op", "inter_op"):
        add(
            f"--tensorflow_{name}_parallelism",
            type=_natural,
            default=0,
            help="threads of TensorFlow; 0: one a processor (default: 0)",
        )
    _boolean(add, "--enable_grpc_healthcheck_service", help="always on here")
    _boolean(
        add,
        "--enable_serialization_as_tensor_content",
        help="answers in tensor_content instead of float_val and its like: smaller and faster",
    )
    add("--bind_address", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    add(
        "--drain_seconds",
        type=_seconds,
        default=30.0,
        help="time that requests in flight get at SIGTERM (default: 30)",
    )
    add(
        "--precision",
        choices=("float32", "bfloat16", "int8"),
        default="float32",
        help="of the network's multiplications; bfloat16 takes half the time where the processor "
        "has it, int8 is faster everywhere, for versions that have that form (default: float32)",
    )
    add(
        "--request_log",
        type=Path,
        metavar="PREFIX",
        help="folder and beginning of the files' names to log answers to, as the logging_config of "
        "--model_base_path's model with a sampling rate of 1 (default: nothing is logged)",
    )
    _boolean(add, "--log_pixels", help="logs the films too; the folder must be of mode 0700")
    add(
        "--log_max_megabytes",
        type=_positive,
        default=1024,
        help="that a log may take; then its oldest file goes (default: %(default)s)",
    )
    add(
        "--log_max_days",
        type=_days,
        default=90.0,
        help="after which a file of a log goes (default: 90)",
    )
    parser.set_defaults(without_effect=())
    for name in WITHOUT_EFFECT:
        help = "taken, but without effect here"
        add(f"--{name}", nargs="?", const="true", action=_WithoutEffect, metavar="VALUE", help=help)
    for name in REFUSED:
        add(f"--{name}", nargs="?", action=_Refused, help=argparse.SUPPRESS)


class _WithoutEffect(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, value: Any, option: str | None = None) -> None:
        namespace.without_effect = (*namespace.without_effect, f"{self.dest}={value}")


class _Refused(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, value: Any, option: str | None = None) -> None:
        parser.error(f"{option} is not supported by the embedded server; {REFUSED[self.dest]}")


def parse(arguments: Sequence[str]) -> Flags:
    """The flags of a command line; an unknown or impossible one ends the process with code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        usage="python -m serving --model_base_path=DIR [--flag=value ...]",
        description="Serves SavedModels over TensorFlow Serving's API, with its flags.",
        allow_abbrev=False,
    )
    add_arguments(parser)
    values = parser.parse_args(arguments)
    for name in (*WITHOUT_EFFECT, *REFUSED):
        delattr(values, name)
    if message := fault(values):
        parser.error(message)
    return Flags(**vars(values))


def command_line(values: Mapping[str, Any], *, own: bool = True) -> list[str]:
    """Writes flags as `--name=value`, the only form that tensorflow_model_server understands.

    Args:
        values: the flags by name.
        own: with the flags that tensorflow_model_server does not have.

    Returns:
        The arguments; flags at their defaults are left out.
    """
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return [
        f"--{name}={_written(value)}"
        for name, value in values.items()
        if name != "without_effect"
        and value != parser.get_default(name)
        and (own or name not in OWN_FLAGS)
    ] + [f"--{flag}" for flag in values.get("without_effect", ())]


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)  # its seconds are whole numbers


def fault(flags: argparse.Namespace) -> str | None:
    """What is wrong with the flags together, or None. (model_servers/server.cc, BuildAndStart)"""
    if not flags.port and not flags.grpc_socket_path:
        return "at least one of --port and --grpc_socket_path must be set"
    if flags.port and flags.port == flags.rest_api_port:
        return "--rest_api_port must differ from --port"
    if not flags.model_base_path and not flags.model_config_file:
        return "give --model_base_path or --model_config_file"
    if flags.request_log and flags.model_config_file:
        return "--request_log goes with --model_base_path; write a logging_config into the file"
    if flags.batching_parameters_file and not flags.enable_batching:
        return "--batching_parameters_file is set without --enable_batching"
    if flags.tensorflow_session_parallelism and (
        flags.tensorflow_intra_op_parallelism or flags.tensorflow_inter_op_parallelism
    ):
        return "give --tensorflow_session_parallelism or the intra and inter ones, not both"
    if flags.precision == "bfloat16" and not runtime.has_bfloat16():
        return f"--precision=bfloat16: no {' or '.join(runtime.BFLOAT16)} here; leave it out"
    if flags.precision == "int8" and not runtime.has_openvino():
        return "--precision=int8 needs OpenVINO: pip install 'pneumonia[fast]'"
    return None


def _boolean(add: Any, name: str, *, default: bool = False, help: str) -> None:
    add(name, nargs="?", const=True, default=default, type=_truth, metavar="BOOL", help=help)


def _truth(text: str) -> bool:
    if text.lower() in ("true", "1"):
        return True
    if text.lower() in ("false", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def _natural(text: str) -> int:
    if (number := int(text)) < 0:
        raise argparse.ArgumentTypeError(f"{number} is negative")
    return number


def _port(text: str) -> int:
    if not 0 <= (number := int(text)) < 1 << 16:
        raise argparse.ArgumentTypeError(f"{number} is no port: they go from 0 to 65535")
    return number


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


def _seconds(text: str) -> float:
    if not 0 <= (number := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return number


def _days(text: str) -> float:
    if not 0 < (number := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of days above 0")
    return number
