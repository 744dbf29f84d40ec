"""New versions, roll-backs and corrupt versions while clients keep asking."""

import gc
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.serving.conftest import WAIT, Client, InProcess
from tests.serving.tiny_model import png

Start = Callable[..., InProcess]
FAST = ("--file_system_poll_wait_seconds=0.05", "--load_retry_interval_micros=0")


def push(exported: Path, base: Path, version: int, number: int | None = None) -> None:
    """Copies a version beside its place and renames it, as the pipeline's pusher does."""
    arriving = base / f".{number or version}"
    shutil.copytree(exported / str(version), arriving)
    arriving.rename(base / str(number or version))


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


class Load:
    """Clients that ask without a pause and note which version answered what."""

    def __init__(self, client: Client, clients: int) -> None:
        self.errors: list[Exception] = []
        self.answers: list[tuple[int, float]] = []
        self._client = client
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        while not self._stop.is_set():
            try:
                answer = self._client.predict([png(51)])
            except Exception as error:
                self.errors.append(error)
                return
            probability = answer.outputs["probability"].float_val[0]
            self.answers.append((answer.model_spec.version.value, probability))

    @contextmanager
    def running(self) -> Iterator["Load"]:
        for thread in self._threads:
            thread.start()
        yield self
        self._stop.set()
        for thread in self._threads:
            thread.join(WAIT)


def served(client: Client) -> int:
    return client.predict([png(51)]).model_spec.version.value


def test_no_request_fails_while_versions_come_go_and_break(
    start: Start, base_path: Path, exported: Path
) -> None:
    server = start("--model_name=pneumonia", f"--model_base_path={base_path}", *FAST)
    with Load(server, 4).running() as load:
        push(exported, base_path, 2)
        until(lambda: served(server) == 2)
        switched = len(load.answers)
        (base_path / "9").mkdir()
        (base_path / "9" / "saved_model.pb").write_bytes(b"corrupt")
        until(lambda: server.states().get(9) == "END")
        shutil.rmtree(base_path / "2")  # rolls back; 9 is still there, so to the one that serves
        until(lambda: len(load.answers) > switched + 50)
        shutil.rmtree(base_path / "9")
        until(lambda: served(server) == 1)

    assert not load.errors
    expected = {1: pytest.approx(0.2), 2: pytest.approx(0.3)}
    assert {version for version, _ in load.answers} == {1, 2}
    assert all(probability == expected[version] for version, probability in load.answers)


def test_after_the_switch_no_old_version_answers(
    start: Start, base_path: Path, exported: Path
) -> None:
    server = start("--model_name=pneumonia", f"--model_base_path={base_path}", *FAST)
    push(exported, base_path, 2)
    until(lambda: server.states().get(2) == "AVAILABLE")

    assert {served(server) for _ in range(20)} == {2}


def test_a_corrupt_version_at_the_start_leaves_the_server_up_but_not_serving(
    start: Start, tmp_path: Path, exported: Path
) -> None:
    base = tmp_path / "models"
    (base / "1").mkdir(parents=True)
    (base / "1" / "saved_model.pb").write_bytes(b"corrupt")
    server = start("--model_name=pneumonia", f"--model_base_path={base}", *FAST)
    health = health_pb2_grpc.HealthStub(server.channel)

    def status() -> int:
        return health.Check(health_pb2.HealthCheckRequest(service="pneumonia"), timeout=WAIT).status

    assert status() == health_pb2.HealthCheckResponse.NOT_SERVING
    push(exported, base, 1, number=2)
    until(lambda: status() == health_pb2.HealthCheckResponse.SERVING)
    assert served(server) == 2


def test_an_empty_folder_is_waited_on(start: Start, tmp_path: Path, exported: Path) -> None:
    base = tmp_path / "models"
    base.mkdir()
    server = start("--model_name=pneumonia", f"--model_base_path={base}", *FAST)

    status, answer = server.http("/v1/models/pneumonia")
    assert (status, answer) == (404, {"error": "Could not find any versions of model pneumonia"})
    push(exported, base, 1)
    until(lambda: server.http("/v1/models/pneumonia")[0] == 200)


def test_a_changed_model_config_file_is_taken_over(
    start: Start, tmp_path: Path, exported: Path
) -> None:
    config = tmp_path / "models.config"

    def pin(version: int) -> None:
        arriving = tmp_path / "arriving"
        arriving.write_text(
            f"""model_config_list {{ config {{ name: "pneumonia" base_path: "{exported}"
            model_platform: "tensorflow"
            model_version_policy {{ specific {{ versions: {version} }} }} }} }}"""
        )
        arriving.rename(config)

    pin(1)
    server = start(
        f"--model_config_file={config}", "--model_config_file_poll_wait_seconds=0.05", *FAST
    )
    assert served(server) == 1
    pin(3)
    until(lambda: served(server) == 3)


def rss() -> int:
    gc.collect()
    return psutil.Process(os.getpid()).memory_info().rss


@pytest.mark.slow
def test_twenty_swaps_add_less_than_one_model(
    start: Start, tmp_path: Path, big_model: Path
) -> None:
    base = tmp_path / "models"
    shutil.copytree(big_model, base / "1")
    size = sum(file.stat().st_size for file in big_model.rglob("*") if file.is_file())

    def swap(number: int) -> None:
        shutil.copytree(big_model, base / f".{number}")
        (base / f".{number}").rename(base / str(number))
        until(lambda: server.states().get(number) == "AVAILABLE")
        until(lambda: list(server.states().values()).count("AVAILABLE") == 1)
        shutil.rmtree(base / str(number - 1), ignore_errors=True)

    server = start("--model_name=pneumonia", f"--model_base_path={base}", *FAST)
    for number in (2, 3, 4):  # the allocator reaches its size
        swap(number)
        server.predict([png(51)])
    before = rss()
    for number in range(5, 25):
        swap(number)
        server.predict([png(51)])

    assert rss() - before < size


def push_roll_back_and_break(server: Client, base: Path, exported: Path, number: int) -> None:
    push(exported, base, 1 + number % 3, number)
    until(lambda: served(server) == number)
    shutil.rmtree(base / str(number))
    until(lambda: served(server) == number - 1)
    (base / str(number + 1)).mkdir()
    (base / str(number + 1) / "saved_model.pb").write_bytes(b"corrupt")
    until(lambda: server.states().get(number + 1) == "END")
    shutil.rmtree(base / str(number + 1))
    push(exported, base, 1 + number % 3, number)
    until(lambda: served(server) == number)


@pytest.mark.slow
def test_two_minutes_of_load_and_swaps_lose_nothing(
    start: Start, base_path: Path, exported: Path
) -> None:
    server = start("--model_name=pneumonia", f"--model_base_path={base_path}", *FAST)
    end = time.monotonic() + 120.0
    number = 1
    with Load(server, 8).running() as load:
        while time.monotonic() < end and not load.errors:
            number += 1
            push_roll_back_and_break(server, base_path, exported, number)

    assert not load.errors
    assert len(load.answers) > 1000
    for version, probability in load.answers:
        bias = 0.0 if version == 1 else 0.1 * (version % 3)
        assert probability == pytest.approx(0.2 + bias)
