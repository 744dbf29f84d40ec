"""`pneumonia web` as a process, under what a hostile or careless visitor sends."""

import http.client
import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

import cli
from tests.client.conftest import jpeg
from tests.client.web.conftest import BYTES, running_page
from tests.client.web.test_app import bomb


@pytest.fixture
def site(port, unused_port, tmp_path):
    """A running page: its process, its port, and the folder that it has for temporary files."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with running_page(unused_port, port, env=os.environ | {"TMPDIR": str(scratch)}) as process:
        yield process, unused_port, scratch


def post(port, content, path="/api/predict"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, body=content, headers=BYTES)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def megabytes(process, field):
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise AssertionError(field)


def test_fifty_at_once_are_answered_or_turned_away_and_the_page_stays_up(site, noise_png):
    process, port, scratch = site
    statuses = []
    threads = [
        threading.Thread(target=lambda: statuses.append(post(port, noise_png)[0]))
        for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == 50
    assert set(statuses) <= {200, 429, 503}
    assert 200 in statuses
    assert post(port, jpeg())[0] in (200, 429)
    assert megabytes(process, "VmHWM") < 1500
    assert list(scratch.iterdir()) == []


def test_half_a_gigabyte_is_refused_without_being_kept(site):
    process, port, scratch = site
    before = megabytes(process, "VmHWM")
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        size = 500 * 2**20
        head = f"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n"
        connection.sendall(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode())
        answer = b""
        try:
            for _ in range(500):
                connection.sendall(bytes(2**20))
        except OSError:
            pass  # the page hung up, as it may
        try:
            answer = connection.recv(100)
        except OSError:
            answer = b"HTTP/1.1 413 hung up"
    assert b" 413 " in answer
    assert megabytes(process, "VmHWM") < before + 200
    assert post(port, jpeg())[0] == 200
    assert list(scratch.iterdir()) == []


def test_chunks_without_an_announced_size_end_at_the_cap(site):
    _, port, scratch = site
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(
            "POST",
            "/api/predict",
            body=(bytes(2**20) for _ in range(64)),
            headers=BYTES,
            encode_chunked=True,
        )
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass  # the page hung up in the middle
    finally:
        connection.close()
    assert post(port, jpeg())[0] == 200
    assert list(scratch.iterdir()) == []


def test_an_upload_over_the_cap_gets_an_answer_that_can_be_read(site):
    """As a browser sends it: all of it, and only then does it read."""
    _, port, scratch = site
    status, body = post(port, bytes(40 * 2**20))
    assert status == 413
    assert "more than 32 MB" in json.loads(body)["error"]["message"]
    assert list(scratch.iterdir()) == []


def test_forty_large_uploads_at_once_are_bounded_and_their_memory_given_back(site):
    process, port, scratch = site
    before = megabytes(process, "VmRSS")
    content = bytes(31 * 2**20)
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: post(port, content), range(40)))
    statuses = {status for status, _ in answers}
    assert statuses <= {422, 429, 503}
    assert all("error" in json.loads(body) for _, body in answers)
    assert megabytes(process, "VmHWM") < 1000
    end = time.monotonic() + 30
    while megabytes(process, "VmRSS") > before + 60:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert list(scratch.iterdir()) == []


def test_uploads_that_stop_half_way_shut_nobody_out(site):
    _, port, _ = site
    head = f"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {32 * 2**20}\r\n"
    with ExitStack() as stack:
        for _ in range(10):  # more than the page holds in all
            sender = stack.enter_context(socket.create_connection(("127.0.0.1", port), 60))
            sender.sendall(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode())
            sender.sendall(bytes(31 * 2**20))
        end = time.monotonic() + 30
        while (status := post(port, jpeg())[0]) == 503:
            assert time.monotonic() < end
            time.sleep(0.2)
        assert status == 200


def test_nobody_works_for_browsers_that_hung_up(site, model):
    _, port, _ = site
    model.endless = True
    head = "POST /api/predict HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Content-Type: application/octet-stream\r\nContent-Length: {len(jpeg())}\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(6):  # as many as the page asks about at a time
            sender = stack.enter_context(socket.create_connection(("127.0.0.1", port), 60))
            sender.sendall(head.encode() + jpeg())
        end = time.monotonic() + 60
        while len(model.calls) < 6:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert post(port, jpeg())[0] == 503
    while model.left < 6:
        assert time.monotonic() < end
        time.sleep(0.05)
    model.endless = False
    while (status := post(port, jpeg())[0]) == 503:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert status == 200


def test_hostile_files_are_refused_and_leave_nothing(site):
    process, port, scratch = site
    assert post(port, bomb())[0] == 413
    assert post(port, b"<html><script>1</script></html>")[0] == 422
    assert post(port, jpeg(), "/api/predict?name=../../etc/passwd")[0] == 200
    assert post(port, jpeg(), "/api/predict/../../etc/passwd")[0] in (404, 405)
    assert megabytes(process, "VmHWM") < 600
    assert list(scratch.iterdir()) == []


def test_the_server_names_no_version(site):
    connection = http.client.HTTPConnection("127.0.0.1", site[1], timeout=30)
    connection.request("GET", "/")
    assert connection.getresponse().getheader("Server") is None
    connection.close()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_it_cleanly(site, name):
    process, port, _ = site
    process.send_signal(getattr(signal, name))
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"http://127.0.0.1:{port}" in out
    assert "Traceback" not in out


def test_a_taken_port_is_one_line(port, capfd):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        assert cli.main(["web", "--port", str(number), "--server", f"127.0.0.1:{port}"]) == 1
    error = capfd.readouterr().err
    assert str(number) in error
    assert "--port" in error
    assert len(error.splitlines()) == 1


def test_bad_usage_is_2(capfd):
    assert cli.main(["web", "--server", "nowhere"]) == 2
    assert len(capfd.readouterr().err.splitlines()) == 1
    for port in ("99999", "0", "http"):
        with pytest.raises(SystemExit) as exit_:
            cli.main(["web", "--port", port])
        assert exit_.value.code == 2
        assert len(capfd.readouterr().err.splitlines()[-1]) < 100
