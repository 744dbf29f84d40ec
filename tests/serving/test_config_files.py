"""The text protos that the flags name, and the flags themselves."""

from pathlib import Path

import pytest

from serving import config_files, flags, runtime
from serving.batching import BatchingParameters
from serving.config_files import ConfigFileError


def test_batching_parameters_are_read_and_the_rest_keep_tensorflow_servings_defaults(
    tmp_path: Path,
) -> None:
    # servables/tensorflow/session_bundle_config.proto
    file = tmp_path / "batching.txt"
    file.write_text(
        """max_batch_size { value: 8 } batch_timeout_micros { value: 500 }
        allowed_batch_sizes: 4 allowed_batch_sizes: 8
        enable_large_batch_splitting { value: true }"""
    )

    assert config_files.read_batching_parameters(file) == BatchingParameters(
        max_batch_size=8,
        batch_timeout_micros=500,
        allowed_batch_sizes=(4, 8),
        enable_large_batch_splitting=True,
        max_enqueued_batches=10,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max_batch_sizes { value: 8 }", 'has no field named "max_batch_sizes"'),
        ("max_batch_size: 8", ""),
        ("allowed_batch_sizes: 4", "must rise and end with max_batch_size"),
        ("max_batch_size { value: 0 }", "at least 1"),
        ("pad_variable_length_inputs: true", "not supported"),
    ],
)
def test_a_fault_in_a_file_is_named_with_the_file(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "batching.txt"
    file.write_text(text)

    with pytest.raises(ConfigFileError) as caught:
        config_files.read_batching_parameters(file)

    assert str(file) in str(caught.value)
    assert words in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError, match=r"nowhere\.config: cannot be read"):
        config_files.read_model_config(tmp_path / "nowhere.config")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", None),
        ("prometheus_config { enable: false }", None),
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config { enable: true path: "/metrics" }', "/metrics"),
    ],
)
def test_where_the_metrics_are(tmp_path: Path, text: str, path: str | None) -> None:
    # model_servers/http_server.cc, CreateAndStartHttpServer
    file = tmp_path / "monitoring.txt"
    file.write_text(text)

    assert config_files.read_prometheus_path(file) == path


def test_a_fault_in_an_ssl_config_does_not_show_the_key(tmp_path: Path) -> None:
    file = tmp_path / "ssl.txt"
    file.write_text("server_key: SECRET-KEY")

    with pytest.raises(ConfigFileError) as caught:
        config_files.read_ssl_config(file)

    assert "SECRET" not in str(caught.value)


def test_an_ssl_config_needs_key_and_certificate(tmp_path: Path) -> None:
    file = tmp_path / "ssl.txt"
    file.write_text('server_key: "key"')

    with pytest.raises(ConfigFileError, match="server_key and server_cert are both needed"):
        config_files.read_ssl_config(file)


def test_callers_cannot_be_verified_without_their_authority(tmp_path: Path) -> None:
    file = tmp_path / "ssl.txt"
    file.write_text('server_key: "key" server_cert: "certificate" client_verify: true')

    with pytest.raises(ConfigFileError, match="client_verify needs custom_ca"):
        config_files.read_ssl_config(file)


@pytest.mark.parametrize("where", ["metrics", "/{x", "/a?b"])
def test_metrics_have_a_plain_path(tmp_path: Path, where: str) -> None:
    file = tmp_path / "monitoring.txt"
    file.write_text(f'prometheus_config {{ enable: true path: "{where}" }}')

    with pytest.raises(ConfigFileError, match="must be plain and start with /"):
        config_files.read_prometheus_path(file)


# Flags: model_servers/main.cc, model_servers/server.h


def test_flags_have_tensorflow_servings_defaults() -> None:
    values = flags.parse(["--model_base_path=/models"])

    assert (values.port, values.rest_api_port, values.model_name) == (8500, 0, "default")
    assert (values.file_system_poll_wait_seconds, values.max_num_load_retries) == (1, 5)
    assert (values.load_retry_interval_micros, values.rest_api_timeout_in_ms) == (60_000_000, 30000)
    assert values.enable_model_warmup
    assert not values.enable_batching
    assert values.bind_address == "127.0.0.1"  # ours: nobody else's X-rays by accident


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model_base_path=/m", "--portt=1"], "unrecognized arguments: --portt=1"),
        (["--model_base_path=/m", "--por=1"], "unrecognized arguments: --por=1"),
        ([], "give --model_base_path or --model_config_file"),
        (["--model_base_path=/m", "--port=0"], "--port and --grpc_socket_path"),
        (["--model_base_path=/m", "--rest_api_port=8500"], "must differ from --port"),
        (["--model_base_path=/m", "--rest_api_port=70000"], "70000 is no port"),
        (["--model_base_path=/m", "--batching_parameters_file=b"], "without --enable_batching"),
        (["--model_base_path=/m", "--enable_batching=maybe"], "neither true nor false"),
        (["--model_base_path=/m", "--max_num_load_retries=-1"], "negative"),
        (["--model_base_path=/m", "--log_max_days=0"], "0 is not a number of days above 0"),
        (["--platform_config_file=/p"], "--platform_config_file is not supported"),
        (["--use_alts_credentials"], "--use_alts_credentials is not supported"),
        (["--mixed_precision=bfloat16"], "give --precision=bfloat16"),
    ],
)
def test_wrong_flags_are_refused_by_name(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        flags.parse(arguments)

    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_bfloat16_is_refused_where_the_processor_lacks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu avx2 avx512f\n")
    monkeypatch.setattr(runtime, "_CPUINFO", tmp_path / "cpuinfo")

    with pytest.raises(SystemExit):
        flags.parse(["--model_base_path=/m", "--precision=bfloat16"])

    assert "no avx512_bf16 or amx_bf16 here; leave it out" in capsys.readouterr().err
    assert flags.parse(["--model_base_path=/m"]).precision == "float32"

    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu avx2 avx512_bf16\n")
    assert flags.parse(["--model_base_path=/m", "--precision=bfloat16"]).precision == "bfloat16"


def test_harmless_flags_are_taken_and_handed_on() -> None:
    arguments = ["--num_load_threads=4", "--enable_profiler=true", "--flush_filesystem_caches"]

    values = flags.parse(["--model_base_path=/m", *arguments])

    assert values.without_effect == (
        "num_load_threads=4",
        "enable_profiler=true",
        "flush_filesystem_caches=true",
    )
    handed_on = flags.command_line(vars(values), own=False)  # where the real server honours them
    assert {"--num_load_threads=4", "--flush_filesystem_caches=true"} <= set(handed_on)


def test_the_command_line_that_flags_stand_for_parses_back() -> None:
    arguments = [
        "--port=9000",
        "--enable_batching=true",
        "--enable_model_warmup=false",
        "--model_base_path=/m",
        "--drain_seconds=5",
        "--file_system_poll_wait_seconds=2",  # a whole number: the real server takes no other
    ]

    values = flags.parse(arguments)

    assert sorted(flags.command_line(vars(values))) == sorted(arguments)
    assert "--drain_seconds=5" not in flags.command_line(vars(values), own=False)
