"""A PACS over DICOMweb that answers oddly: each oddity is one film's or one series'."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from client.pacs.destination import RejectedError
from client.pacs.dicomweb import DicomWeb
from tests.client.pacs.films import film
from tests.local_server import LocalServer

Answer = tuple[int, str, bytes]  # status, media type, content
JSON = "application/dicom+json"


@pytest.fixture
def pacs() -> Iterator[tuple[DicomWeb, list[Answer]]]:
    """A PACS, and what it answers to everything: the first of a list."""
    said: list[Answer] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, media_type, content = said[0]
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the base class's name

        def log_message(self, *_: object) -> None:
            pass

    with LocalServer(Handler) as server:
        yield DicomWeb(server.url), said


def stored(*reasons: int) -> bytes:
    """A STOW-RS answer with an item for each instance that was not stored."""
    items = [{"00081197": {"vr": "US", "Value": [reason]}} for reason in reasons]
    return json.dumps({"00081198": {"vr": "SQ", "Value": items}}).encode()


@pytest.mark.parametrize("media_type", [JSON, f"{JSON}; charset=utf-8"])
@pytest.mark.parametrize("status", [202, 409])
def test_answers_that_were_not_stored_are_no_success(pacs, status, media_type):
    web, said = pacs
    said.append((status, media_type, stored(0x0111, 0x0122)))
    with pytest.raises(RejectedError, match="status 0x0122"):
        web.store([film(1)])


def test_answers_that_are_there_already_are_stored(pacs):
    web, said = pacs
    said.append((409, JSON, stored(0x0111)))
    web.store([film(1)])


@pytest.mark.parametrize("content", [b"", b"{}", b"<html>"])
def test_a_conflict_that_says_no_more_is_a_failure(pacs, content):
    web, said = pacs
    said.append((409, "text/html", content))
    with pytest.raises(RejectedError):
        web.store([film(1)])


def test_an_odd_uid_or_a_damaged_film_is_told_without_quoting_it(pacs):
    web, said = pacs
    said.append((200, 'multipart/related; type="application/dicom"; boundary=b', b"--b\r\n\r\nx"))
    for study, series in (("1.2.0840.5", "1.2.3"), (None, "1.2.3"), ("1.2.3", "1.2.4")):
        with pytest.raises(RejectedError) as told:
            web.fetch(study, series, "1.2.5")
        assert re.fullmatch(r"\w+", str(told.value))
    with pytest.raises(RejectedError):
        web.instances("1.2.0840.5", "1.2.3")
