"""The server as a process: how it starts, refuses to start, drains and leaves."""

import base64
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.serving.conftest import WAIT, InProcess, Process
from tests.serving.tiny_model import export, png

ROOT = Path(__file__).parents[2]
PNG = base64.b64encode(png(51)).decode()


def test_sigterm_under_load_answers_every_accepted_request(
    launch: Callable[..., Process], tmp_path: Path
) -> None:
    export(tmp_path / "m" / "1", work=20)  # long enough for every client to have one in flight
    server = launch(tmp_path / "m", "--drain_seconds=60")
    watcher = health_pb2_grpc.HealthStub(server.channel).Watch(health_pb2.HealthCheckRequest())
    assert next(watcher).status == health_pb2.HealthCheckResponse.SERVING
    server.predict([png(51)])
    answered, refused, dropped = [], [], []

    def ask() -> None:
        while not refused and not dropped:
            try:
                answered.append(server.predict([png(51)]))
            except grpc.RpcError as error:
                # A connection that is not made any more is fine; one that breaks is not.
                text = error.details()
                late = "connect" in text.lower() or "GOAWAY" in text or "shut" in text.lower()
                (refused if late else dropped).append(text)

    def ask_rest() -> None:
        body = {"signature_name": "predict_image", "instances": [{"b64": PNG}]}
        while not refused and not dropped:
            try:
                status, _ = server.http("/v1/models/pneumonia:predict", body)
            except OSError as error:
                # A pipe breaks while a request is being sent: it has not been accepted.
                late = any(word in str(error).lower() for word in ("refused", "broken pipe"))
                (refused if late else dropped).append(str(error))
            else:
                (answered if status == 200 else dropped).append(status)

    clients = [threading.Thread(target=ask) for _ in range(6)]
    clients += [threading.Thread(target=ask_rest) for _ in range(2)]
    for client in clients:
        client.start()
    while len(answered) < 20:
        time.sleep(0.01)
    server.popen.send_signal(signal.SIGTERM)

    assert next(watcher).status == health_pb2.HealthCheckResponse.NOT_SERVING
    watcher.cancel()
    for client in clients:
        client.join(WAIT)
    assert server.popen.wait(WAIT) == 0
    assert dropped == []
    names = [entry["event"] for entry in server.events()]
    assert names[-1] == "stopped"
    assert "request broke" not in names


def test_it_starts_lean_listens_here_only_and_logs_nothing_of_the_images(
    launch: Callable[..., Process], base_path: Path
) -> None:
    server = launch(base_path)
    server.predict([png(51)])
    with pytest.raises(grpc.RpcError):
        server.predict([b"PATIENT-JANE-DOE"])
    server.http("/v1/models/pneumonia:predict", {"instances": ["PATIENT-JANE-DOE"]})

    libraries = Path(f"/proc/{server.popen.pid}/maps").read_text()
    connections = psutil.Process(server.popen.pid).net_connections("tcp")
    server.popen.send_signal(signal.SIGINT)
    assert server.popen.wait(WAIT) == 0

    assert "h5py" not in libraries  # Keras brings it; tensorflow/__init__.py brings Keras
    listening = [c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN]
    assert [ip.removeprefix("::ffff:") for ip in listening] == ["127.0.0.1"] * 2
    assert "JANE" not in server.log.read_text()
    failed = [entry for entry in server.events() if entry["event"] == "request failed"]
    assert [entry["code"] for entry in failed] == ["INVALID_ARGUMENT"] * 2
    assert {"time", "level", "event", "method", "code", "milliseconds"} == set(failed[0])


def refusal(*arguments: str) -> tuple[int, str]:
    process = subprocess.run(
        [sys.executable, "-m", "serving", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    return process.returncode, process.stderr


def test_a_config_file_with_a_fault_is_named(tmp_path: Path) -> None:
    (tmp_path / "models.config").write_text("model_config_list { confg {} }")

    code, log = refusal(f"--model_config_file={tmp_path / 'models.config'}")

    assert code == 1
    assert f"{tmp_path / 'models.config'}:1:21" in log
    assert "Traceback" not in log


def test_an_unknown_flag_ends_with_usage_error() -> None:
    code, log = refusal("--model_base_path=/m", "--nonsense=1")

    assert code == 2
    assert "--nonsense" in log


# pneumonia serve


def serve(arguments: list[str], cwd: Path, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}"}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [sys.executable, "-m", "cli", "serve", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A place with one finished run that has pushed version 7."""
    run = tmp_path / "runs" / "first"
    (run / "serving" / "pneumonia" / "7").mkdir(parents=True)
    (run / "metadata.db").touch()
    return tmp_path


@pytest.fixture
def tensorflow_serving(tmp_path: Path) -> Path:
    """A folder with a stand-in for the real server that prints how it was called."""
    binary = tmp_path / "bin" / "tensorflow_model_server"
    binary.parent.mkdir()
    binary.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    return binary.parent


def test_serve_runs_tensorflow_serving_where_it_is_installed(
    run_folder: Path, tensorflow_serving: Path
) -> None:
    done = serve(["--enable_batching", "--drain_seconds=5"], run_folder, str(tensorflow_serving))

    assert done.returncode == 0
    assert sorted(done.stdout.split()) == [
        "--enable_batching=true",
        f"--model_base_path={run_folder / 'runs/first/serving/pneumonia'}",
        "--model_name=pneumonia",
        "--rest_api_port=8501",
    ]
    assert "listens on every address" in done.stderr


def test_serve_opens_no_door_without_encryption_beside_one_with_it(
    run_folder: Path, tensorflow_serving: Path
) -> None:
    done = serve(["--ssl_config_file=ssl.config"], run_folder, str(tensorflow_serving))

    assert "--ssl_config_file=ssl.config" in done.stdout
    assert "rest_api_port" not in done.stdout


def test_serve_takes_the_embedded_server_when_told_to(
    run_folder: Path, tensorflow_serving: Path, shared: InProcess
) -> None:
    taken = shared.flags.port
    arguments = ["--engine=embedded", f"--port={taken}", "--rest_api_port=0"]

    done = serve(arguments, run_folder, str(tensorflow_serving))

    assert done.returncode == 1  # the port is taken: it was the embedded server that tried
    assert f"cannot listen on 127.0.0.1:{taken} for gRPC; is it in use?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["--engine=tensorflow"], "tensorflow_model_server is not on PATH", 1),
        (["--run=nobody"], "no run 'nobody'", 1),
        (["--run=first", "--pretrained"], "not allowed with argument", 2),
    ],
)
def test_serve_says_what_is_wrong(
    run_folder: Path, arguments: list[str], words: str, code: int
) -> None:
    done = serve(arguments, run_folder)

    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_of_a_run_that_has_pushed_nothing_says_so(run_folder: Path) -> None:
    (run_folder / "runs/first/serving/pneumonia/7").rmdir()

    done = serve([], run_folder)

    assert done.returncode == 1
    assert "holds no version yet" in done.stderr
