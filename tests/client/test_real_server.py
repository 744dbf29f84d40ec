"""The client against `python -m serving`, as users run them together."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cli
from client import ImageRefusedError, PneumoniaClient, ServerError, XRay
from tests.client.conftest import jpeg
from tests.ports import free_port
from tests.serving import tiny_model

ROOT = Path(__file__).resolve().parents[2]
VERSION = 1_700_000_001


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    base = tmp_path_factory.mktemp("pneumonia")
    tiny_model.export(base / str(VERSION))
    port = free_port()
    flags = {"port": port, "rest_api_port": free_port(), "model_base_path": base}
    command = [sys.executable, "-m", "serving", "--model_name=pneumonia"]
    command += [f"--{name}={value}" for name, value in flags.items()]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            _await(f"127.0.0.1:{port}", process)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _await(address, process):
    with PneumoniaClient(address) as client:
        while process.poll() is None:
            try:
                if client.status()[0].state == "AVAILABLE":
                    return
            except ServerError:
                pass
            time.sleep(0.2)
    pytest.fail("the server ended")


@pytest.fixture
def client(address):
    with PneumoniaClient(address) as client:
        yield client


def test_predictions_and_heat_maps(client):
    result = client.predict(jpeg(200), cam=True)
    assert result.probability == pytest.approx(200 / 255, abs=0.01)
    assert (result.label, result.threshold, result.version) == (1, 0.5, VERSION)
    assert result.heatmap.mean() == pytest.approx(200 / 255, abs=0.01)
    assert result.overlay.startswith(b"\x89PNG")


def test_an_image_that_the_model_cannot_decode_is_refused(client):
    with pytest.raises(ImageRefusedError):
        client.predict(XRay(b"not an image", "jpeg", 1, 1, "", "jpeg"))


def test_status_and_metadata(client):
    assert [(entry.version, entry.state) for entry in client.status()] == [(VERSION, "AVAILABLE")]
    metadata = client.metadata()
    assert metadata.version == VERSION
    assert set(metadata.signatures) >= {"serving_default", "predict_image", "cam"}
    assert "heatmap" in metadata.signatures["cam"].outputs


def test_a_folder_on_the_command_line(address, tmp_path, capfd):
    for name, brightness in (("a.jpg", 20), ("b.jpg", 240)):
        (tmp_path / name).write_bytes(jpeg(brightness))
    (tmp_path / "c.txt").write_text("no X-ray")
    code = cli.main(["predict", str(tmp_path), "--format", "json", "--server", address])
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [row["decision"] for row in rows] == ["NORMAL", "PNEUMONIA", None]
    assert code == 1
