"""What goes on when something beside the gateway fails: a disk, a PACS, a second gateway."""

import io
import shutil
import sqlite3
import subprocess
import sys
from types import SimpleNamespace

import grpc
import pydicom
import pytest
from pydicom.uid import ComputedRadiographyImageStorage

from client.client import PneumoniaClient
from client.pacs.destination import RejectedError
from client.pacs.film import Answer, key_of
from client.pacs.gateway import Gateway
from client.pacs.intake import SUCCESS, FilmIntake
from client.pacs.link import Link
from client.pacs.pages import create_app
from client.pacs.queue import Queue
from client.pacs.rule import Rule
from client.pacs.watcher import Watcher
from client.web.hosts import Hosts
from tests.client.pacs.conftest import ROOT
from tests.client.pacs.films import film
from tests.client.pacs.orthanc import wait_for
from tests.client.pacs.sender import association, body, store


class Pacs:
    """One that takes everything, and gives one series of two films, `hidden` ones excepted."""

    def __init__(self) -> None:
        contents = film(1), film(2)
        self.films = {uid(content): content for content in contents}
        self.hidden: set[str] = set()

    def store(self, objects) -> None:
        pass

    def check(self) -> None:
        pass

    def rest(self) -> None:
        pass

    def series(self, days: int) -> list[tuple[str, str, int]]:
        return [("1.1", "1.2", len(self.films))]

    def instances(self, study: str, series: str) -> list[tuple[str, str]]:
        return [(ComputedRadiographyImageStorage, instance) for instance in self.films]

    def fetch(self, study: str, series: str, instance: str) -> bytes:
        if instance in self.hidden:
            raise RejectedError("HTTP 403")
        return self.films[instance]


def uid(content: bytes) -> str:
    return str(pydicom.dcmread(io.BytesIO(content)).SOPInstanceUID)


@pytest.fixture
def queue(tmp_path):
    queue = Queue(tmp_path / "queue")
    yield queue
    queue.close()


@pytest.mark.parametrize("write", ["answer", "put_back", "fail"])
def test_a_film_that_a_full_disk_kept_from_being_noted_is_noted_once_there_is_room(
    queue, model, server, monkeypatch, write
):
    errors = [sqlite3.OperationalError("database or disk is full")]
    real = getattr(queue, write)

    def fill(*args, **options):
        if errors:
            raise errors.pop()
        real(*args, **options)

    monkeypatch.setattr(queue, write, fill)
    content = film(1)
    queue.add(uid(content), "1", content[:-4000] if write == "fail" else content)
    with PneumoniaClient(f"127.0.0.1:{server}") as client:
        gateway = Gateway(queue, client, Pacs(), concurrency=1)
        model.failures += [grpc.StatusCode.INTERNAL] * 9 if write == "put_back" else []
        gateway.start()
        try:
            wait_for(lambda: not errors and queue.counts()["asked"] == 0, 60)
        finally:
            gateway.stop()


def test_films_that_a_pacs_kept_back_are_fetched_once_it_gives_them(queue, caplog):
    pacs = Pacs()
    first, second = pacs.films
    watcher = Watcher(pacs, FilmIntake(queue, Rule(), lambda: None), 1, lambda: True)
    pacs.hidden.add(first)
    watcher.look()
    watcher.look()
    assert caplog.messages.count("not fetched") == 1
    assert [queue.knows(one) for one in (first, second)] == [False, True]
    pacs.hidden.clear()
    watcher.look()
    assert queue.knows(first)


def test_a_film_that_failed_is_not_fetched_again_though_the_pacs_counts_no_instances(queue):
    pacs = Pacs()
    pacs.series = lambda days: [("1.1", "1.2", None)]
    fetched: list[str] = []
    fetch = pacs.fetch
    pacs.fetch = lambda study, series, film: fetched.append(film) or fetch(study, series, film)
    watcher = Watcher(pacs, FilmIntake(queue, Rule(), lambda: None), 1, lambda: True)
    watcher.look()
    queue.fail(queue.claim()[0].key, "image_refused")
    watcher.look()
    assert len(fetched) == len(pacs.films)


def test_a_fault_while_answers_are_stored_counts_as_a_try_of_that_film(queue):
    class Odd(Pacs):
        def store(self, objects) -> None:
            raise ValueError("an answer that no library reads")

    queue.add("1.5", "1", b"film")
    queue.answer(queue.claim()[0].key, Answer(7, "NORMAL", 0.125), {"report": b"report"})
    gateway = Gateway(queue, SimpleNamespace(), Odd(), concurrency=0)
    gateway.links[1].up()
    gateway.start()
    try:
        wait_for(lambda: queue.find(key_of("1.5")).tries == 1, 30)
    finally:
        gateway.stop()
    assert queue.find(key_of("1.5")).reason == "ValueError"


def test_the_worklist_is_shown_under_the_gateways_own_names_alone(queue):
    gateway = SimpleNamespace(queue=queue, links=(Link("server"), Link("pacs")), is_alive=True)
    page = create_app(gateway, hosts=Hosts("127.0.0.1", ["reading.example"])).test_client()

    def status(path: str, host: str) -> int:
        return page.get(path, headers={"Host": host}).status_code

    for path in ("/", "/api/worklist"):
        assert status(path, "elsewhere.example:8107") == 403
        assert status(path, "localhost:8107") == status(path, "reading.example") == 200
    for path in ("/healthz", "/readyz", "/metrics"):  # a monitor's name for it is its own affair
        assert status(path, "gateway:8107") == 200


def test_a_second_gateway_on_a_queue_is_refused_in_one_line(queue, unused_port, tmp_path):
    queue.own()
    folder = str(tmp_path / "queue")
    command = ["pacs", "--queue", folder, "--pacs", f"A@127.0.0.1:{unused_port}", "--listen", "1"]
    done = subprocess.run(
        [sys.executable, "cli.py", *command], cwd=ROOT, capture_output=True, text=True, timeout=200
    )
    said = f"pneumonia pacs: {folder}: another gateway works on this queue\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_a_request_log_that_cannot_be_written_is_told(
    start_gateway, gateway_port, unused_port, tmp_path
):
    records = tmp_path / "records"
    gateway = start_gateway(
        "--pacs", f"AWAY@127.0.0.1:{unused_port}", "--listen", str(gateway_port),
        "--caller", "STORESCU", "--log", str(records / "log"),
    )  # fmt: skip
    shutil.rmtree(records)
    content = film(1)
    with association(gateway.listen) as caller:
        assert store(caller, body(content), uid(content)) == SUCCESS
    wait_for(lambda: "the request log is not written" in gateway.log.read_text(), 120)
