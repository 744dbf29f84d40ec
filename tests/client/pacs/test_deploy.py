"""The examples of deploy/: the processes that they start do what the examples are for."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import yaml

from serving import flags
from tests.client.pacs.conftest import ROOT
from tests.client.pacs.films import film
from tests.client.pacs.orthanc import TITLE, wait_for
from tests.client.pacs.sender import association, body, store
from tests.client.pacs.test_receiver import uid
from tests.ports import free_port

DEPLOY = ROOT / "client" / "pacs" / "deploy"


def services() -> dict:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]


def of_compose() -> str:
    shell = shlex.split(services()["gateway"]["command"])[-1]
    return shell.partition("exec ")[2]


def of_unit() -> str:
    text = (DEPLOY / "pneumonia-pacs.service").read_text(encoding="utf-8").replace("\\\n", " ")
    return next(line for line in text.splitlines() if line.startswith("ExecStart=")).partition("=")[
        2
    ]


def test_the_server_of_the_compose_file_is_told_what_a_run_left():
    server = services()["server"]
    told = flags.parse(server["command"])
    source, target, _ = server["volumes"][0].split(":")
    assert (DEPLOY / source).resolve() == ROOT / "runs/demo/serving/pneumonia"
    assert (told.model_name, told.model_base_path) == ("pneumonia", target)
    assert (DEPLOY / services()["gateway"]["volumes"][0].split(":")[0]).resolve() == ROOT


@pytest.mark.pacs
@pytest.mark.parametrize("example", [of_compose, of_unit])
def test_the_gateways_of_the_examples_answer_films(example, orthanc, server, model, tmp_path):
    listen, http = free_port(), free_port()
    line = example()
    for there, here in (
        ("server:8500", f"127.0.0.1:{server}"),
        ("127.0.0.1:8500", f"127.0.0.1:{server}"),
        ("http://orthanc:8042/dicom-web", orthanc.web),
        ("ORTHANC@127.0.0.1:4242", orthanc.address),
        ("0.0.0.0:11112", f"127.0.0.1:{listen}"),
        ("0.0.0.0:8107", f"127.0.0.1:{http}"),
        ("/var/lib/pneumonia-pacs", str(tmp_path / "queue")),
        ("--queue /queue", f"--queue {tmp_path / 'queue'}"),
    ):
        line = line.replace(there, here)
    program, *words = shlex.split(line)
    assert Path(program).name == "pneumonia"
    words += [] if "--http" in words else ["--http", str(http)]
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "cli.py", *words]
        gateway = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        wait_for(lambda: answers(http) or gateway.poll() is not None)
        assert gateway.poll() is None, (tmp_path / "log").read_text()
        content = film(1)
        with association(listen, caller=TITLE) as caller:
            assert store(caller, body(content), uid(content)) == 0
        wait_for(lambda: len(orthanc.answers()) == 3)
    finally:
        gateway.terminate()
        gateway.wait()


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=200).ok
    except requests.ConnectionError:
        return False
