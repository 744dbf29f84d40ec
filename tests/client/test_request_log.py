"""The client keeps the same records for a server that keeps none, bounded in size and age."""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pytest

from client import PneumoniaClient, read
from client.aio import AsyncPneumoniaClient
from client.request_log import reader, tfrecord, writer
from client.request_log.record import Record, digest, encode, films
from client.request_log.writer import LogLimits, RequestLog, RequestLogError
from client.server_arguments import add_server_arguments, connect
from tests.client.conftest import jpeg
from tests.client.image_files import dicom


def record(number: int = 0, *, width: int = 1000) -> Record:
    return Record(
        time=1_700_000_000 + number,
        model="pneumonia",
        version=7,
        signature="predict_image",
        hashes=[digest(str(number))],
        outputs={"probability": np.float32([0.5]), "features": np.ones((1, width), np.float32)},
        latency=0.1,
    )


def test_an_answered_film_is_logged_by_both_clients(port: int, tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "log" / "a")
    with PneumoniaClient(f"127.0.0.1:{port}", log=log) as client:
        told = client.predict(jpeg(200), cam=True)
    (film,) = reader.read(tmp_path / "log")
    assert (film.sha256, film.version) == (digest(jpeg(200)), told.version)
    assert film.probability == pytest.approx(told.probability)
    assert film.called
    assert film.pixels is None
    assert film.instance == ""
    assert not {"heatmap", "overlay_png_bytes"} & film.outputs.keys()


async def ask(port: int, log: RequestLog, film: bytes) -> None:
    async with AsyncPneumoniaClient(f"127.0.0.1:{port}", log=log) as client:
        await client.predict(film)


def test_a_dicom_is_found_again_by_the_hashes_of_its_uids(port: int, tmp_path: Path) -> None:
    import asyncio

    film = dicom(StudyInstanceUID="1.2.840.1")
    asyncio.run(ask(port, RequestLog(tmp_path / "log" / "a"), film))
    (logged,) = reader.read(tmp_path / "log")
    study, instance = read(film).uids
    assert (logged.study, logged.instance) == (digest(study), digest(instance))
    content = b"".join(path.read_bytes() for path in (tmp_path / "log").iterdir())
    assert instance
    assert instance.encode() not in content


def test_a_log_stays_within_its_bytes_and_days(tmp_path: Path) -> None:
    old = tmp_path / f"a-20200101T000000-1-0001{writer.SUFFIX}"
    old.write_bytes(b"")
    os.utime(old, (0, time.time() - 91 * 86_400))
    log = RequestLog(tmp_path / "a", LogLimits(megabytes=1, days=90))
    for number in range(600):  # 2.4 MB
        log.put(record(number))
        time.sleep(0.001)
    log.close()
    assert not old.exists()
    assert sum(path.stat().st_size for path in writer.files(tmp_path / "a")) <= 2**20
    kept = [film.time - 1_700_000_000 for film in reader.read(tmp_path)]
    assert kept == list(range(600 - len(kept), 600))
    assert len(kept) > 100


def test_a_log_deletes_its_own_files_alone(tmp_path: Path) -> None:
    def old(prefix: str) -> Path:
        path = tmp_path / f"{prefix}-20200101T000000-1-0001{writer.SUFFIX}"
        path.write_bytes(b"")
        os.utime(path, (0, 0))
        return path

    own, others = old("a[1]"), old("a[1]-canary")
    log = RequestLog(tmp_path / "a[1]")
    log.put(record())
    log.close()
    assert not own.exists()
    assert others.exists()
    assert len(writer.files(tmp_path / "a[1]")) == 1


@pytest.mark.parametrize("limit", ["--log-megabytes=0", "--log-days=-1", "--log-days=nan"])
def test_a_limit_that_would_delete_the_whole_log_is_refused(tmp_path: Path, limit: str) -> None:
    parser = argparse.ArgumentParser()
    add_server_arguments(parser)
    with pytest.raises(ValueError, match="above 0"):
        connect(parser.parse_args([f"--log={tmp_path / 'a'}", limit]))


def test_a_disk_that_is_behind_drops_records_and_delays_nobody(tmp_path: Path, monkeypatch) -> None:
    told: dict[str, int] = {}
    held = writer.threading.Event()
    monkeypatch.setattr(writer.os, "fsync", lambda descriptor: held.wait(60))

    def tell(status: str, count: int) -> None:
        told[status] = told.get(status, 0) + count

    log = RequestLog(tmp_path / "a", tell=tell)
    for number in range(3000):
        log.put(record(number, width=1))
    assert told[writer.DROPPED] >= 3000 - 1024 - 256
    held.set()
    log.close(60)
    log.put(record())  # of a request that was under way when the log was closed
    assert told[writer.WRITTEN] + told[writer.DROPPED] == 3001


def test_damage_hides_nothing_before_it(tmp_path: Path) -> None:
    whole = [tfrecord.framed(encode(record(number))) for number in range(3)]
    file = tmp_path / f"a-1{writer.SUFFIX}"
    for place in (2, 14, len(whole[1]) - 2):  # length, record, check
        damaged = bytearray(whole[1])
        damaged[place] ^= 1
        file.write_bytes(whole[0] + damaged + whole[2])
        assert [film.time for film in reader.read(tmp_path)] == [1_700_000_000]


def test_a_record_of_others_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / f"a-1{writer.SUFFIX}").write_bytes(tfrecord.framed(b"\x0a\xff no record"))
    with pytest.raises(RequestLogError, match="move the file elsewhere"):
        list(reader.read(tmp_path))
    with pytest.raises(RequestLogError, match="holds no request log"):
        list(reader.read(tmp_path / "nothing"))


def test_a_record_says_what_was_asked_and_answered() -> None:
    (film,) = films(encode(record(3)))
    assert (film.time, film.version, film.sha256) == (1_700_000_003, 7, digest("3"))
    assert film.outputs["features"].shape == (1000,)
