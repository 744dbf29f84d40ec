"""The queue's promises, with the file as a killed process leaves it."""

import sqlite3
import time
from types import SimpleNamespace

import pytest

from client.pacs import queue as module
from client.pacs.film import Answer, key_of
from client.pacs.queue import FullError, InUseError, Queue

ANSWER = Answer(7, "NORMAL", 0.125)
OBJECTS = {"report": b"r" * 10, "capture": b"c" * 20}


@pytest.fixture
def queue(tmp_path):
    queue = Queue(tmp_path / "queue", tries=3)
    yield queue
    queue.close()


def reopened(queue: Queue, tmp_path) -> Queue:
    """As another process finds it after this one was killed: nothing was closed."""
    return Queue(tmp_path / "queue", tries=3)


def test_a_film_goes_its_way_and_leaves_no_bytes(queue):
    assert queue.add("1.2", "1", b"film")
    film, content = queue.claim()
    assert (film.instance, film.study, content) == ("1.2", "1", b"film")
    queue.answer(film.key, ANSWER, OBJECTS)
    found, objects = queue.next_answered()
    assert objects == OBJECTS
    assert (found.version, found.decision, found.probability) == (7, "NORMAL", 0.125)
    queue.stored(film.key)
    assert queue.used() == 0
    assert queue.counts()["stored"] == 1
    assert queue.decisions() == {"NORMAL": 1}


def test_whenever_it_is_killed_a_film_is_asked_again_or_its_answers_are_stored(queue, tmp_path):
    queue.add("1.2", "1", b"film")
    queue.claim()
    again = reopened(queue, tmp_path)
    assert again.claim() is None  # another process may still be asking
    again.own()
    film, content = again.claim()
    assert (film.tries, content) == (1, b"film")
    again.answer(film.key, ANSWER, OBJECTS)
    third = reopened(again, tmp_path)
    assert third.claim() is None
    assert third.next_answered()[1] == OBJECTS


def test_a_film_that_kills_the_process_is_set_aside(queue, tmp_path):
    queue.add("1.2", "1", b"poison")
    queue.add("1.3", "1", b"film")
    for _ in range(3):
        queue.own()
        assert queue.claim()[1] == b"poison"
        queue.close()
        queue = reopened(queue, tmp_path)
    queue.own()
    assert queue.claim()[1] == b"film"
    assert queue.find(key_of("1.2")).state == "failed"


def test_only_one_gateway_works_on_a_queue(queue, tmp_path):
    queue.own()
    with pytest.raises(InUseError, match="another gateway"):
        Queue(tmp_path / "queue").own()


def test_a_server_that_is_away_costs_no_try_and_a_failing_film_waits(queue):
    queue.add("1.2", "1", b"film")
    key = key_of("1.2")
    for _ in range(10):
        queue.claim()
        queue.put_back(key, "server_away", counted=False)
    assert (queue.find(key).tries, queue.find(key).state) == (0, "received")
    queue.claim()
    queue.put_back(key, "server_error", counted=True)
    assert queue.find(key).due > time.time()
    assert queue.claim() is None


def test_after_its_last_try_a_film_is_set_aside_with_its_bytes_until_told_otherwise(
    queue, monkeypatch
):
    monkeypatch.setattr(module, "_BACKOFF", (0, 0))
    queue.add("1.2", "1", b"film")
    key = key_of("1.2")
    for _ in range(3):
        queue.claim()
        queue.put_back(key, "server_error", counted=True)
    assert (queue.find(key).state, queue.find(key).reason) == ("failed", "server_error")
    assert queue.retry(key)
    assert queue.claim()[1] == b"film"
    assert not queue.retry(key)
    assert not queue.ignore(key)  # it is being asked
    queue.put_back(key, counted=False)
    assert queue.ignore(key)
    assert (queue.used(), queue.find(key).state) == (0, "ignored")


def test_answers_that_the_pacs_rejects_are_set_aside_and_can_be_sent_again(queue, monkeypatch):
    monkeypatch.setattr(module, "_BACKOFF", (0, 0))
    queue.add("1.2", "1", b"film")
    key = queue.claim()[0].key
    queue.answer(key, ANSWER, OBJECTS)
    for _ in range(3):
        assert queue.next_answered()
        queue.put_back(key, "status 0xC000", counted=True)
    assert queue.next_answered() is None
    assert queue.retry(key)
    assert queue.next_answered()[1] == OBJECTS


def test_a_known_film_comes_in_again_only_after_a_failure_or_for_a_newer_model(queue):
    assert queue.add("1.2", "1", b"film")
    assert not queue.add("1.2", "1", b"film")
    key = queue.claim()[0].key
    assert not queue.add("1.2", "1", b"film", served=99)  # on its way
    queue.answer(key, ANSWER, OBJECTS)
    queue.stored(key)
    assert not queue.add("1.2", "1", b"film", served=7)
    assert not queue.add("1.2", "1", b"film", served=None)
    assert queue.add("1.2", "1", b"film", served=8)
    assert queue.claim()[0].version == 7
    queue.fail(key, "truncated")
    assert queue.add("1.2", "1", b"film")
    queue.leave_alone("1.9", "1", "view")
    assert not queue.add("1.9", "1", b"film", served=99)


def test_it_is_full_before_the_disk_is(tmp_path, monkeypatch):
    queue = Queue(tmp_path / "queue", limit=10 * 2**20)
    queue.add("1.2", "1", b"small")  # its answers will take more
    queue.add("1.3", "1", bytes(5 * 2**20))
    with pytest.raises(FullError):
        queue.add("1.4", "1", b"small")
    queue.ignore(key_of("1.3"))
    assert queue.add("1.4", "1", b"small")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(FullError):
        queue.add("1.5", "1", b"small")
    assert queue.counts()["received"] == 2


def test_what_is_gone_cannot_be_read_from_the_files(queue, tmp_path):
    queue.add("1.2", "1", b"Wintergreen" * 9999)
    queue.claim()
    queue.answer(key_of("1.2"), ANSWER, {"report": b"Ottoline" * 9999})
    queue.stored(key_of("1.2"))
    queue.tidy()
    for path in (tmp_path / "queue").iterdir():
        assert b"Wintergreen" not in path.read_bytes()
        assert b"Ottoline" not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0


def test_a_change_that_fails_half_way_is_none(queue):
    queue.add("1.2", "1", b"film")
    queue.claim()
    with pytest.raises(sqlite3.Error):
        queue.answer(key_of("1.2"), ANSWER, {"report": object()})
    assert queue.find(key_of("1.2")).state == "asked"
    assert queue.used() > 0


def test_a_film_that_every_time_finds_its_peer_away_lets_the_others_go_first(queue):
    queue.add("1.2", "1", b"unlucky")
    queue.add("1.3", "1", b"film")
    film, _ = queue.claim()
    queue.put_back(film.key, "away", counted=False)
    assert queue.claim()[0].instance == "1.3"
    assert queue.find(key_of("1.2")).tries == 0
