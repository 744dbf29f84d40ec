import hashlib
import io
import json
import re
import struct
import zipfile
from http.server import BaseHTTPRequestHandler

import pytest
from rich.console import Console

import cli
from pipeline.datasets.download import DownloadError, download
from pipeline.datasets.fetch import PROVENANCE, FetchError, PublicSet, fetch
from pipeline.datasets.unpack import UnpackError, unpack
from tests.local_server import LocalServer

CONTENT = bytes(range(256)) * 1200 + b"the end"


class Site(LocalServer):
    """An HTTP server with ETags and ranges whose faults a test sets."""

    def __init__(self):
        self.content = CONTENT
        self.etag = '"one"'
        self.ranges = True
        self.cut_after = None  # bytes of a body, then the connection breaks
        self.statuses = []  # of the next answers
        self.misplaced = False  # ranges start elsewhere than asked
        self.requests = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.answer(self)

            def log_message(self, *args):
                pass

        super().__init__(Handler)

    @property
    def url(self):
        return f"{super().url}/set.zip"

    def answer(self, handler):
        asked = handler.headers.get("Range")
        self.requests.append(asked)
        if self.statuses:
            handler.send_error(self.statuses.pop(0))
            return
        start = 0
        if asked and self.ranges and handler.headers["If-Range"] == self.etag:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= len(self.content):
                handler.send_response(416)
                handler.send_header("Content-Range", f"bytes */{len(self.content)}")
                handler.end_headers()
                return
            handler.send_response(206)
            shown = start + 1 if self.misplaced else start
            size = len(self.content)
            handler.send_header("Content-Range", f"bytes {shown}-{size - 1}/{size}")
        else:
            handler.send_response(200)
        body = self.content[start:]
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("ETag", self.etag)
        handler.end_headers()
        handler.wfile.write(body[: self.cut_after])
        handler.close_connection = True


@pytest.fixture
def site():
    with Site() as site:
        yield site


def _nothing(done, total):
    pass


def _zip(files, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _interrupted(site, target, keep=100_000):
    site.cut_after = keep

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(site.url, target, stop)
    site.cut_after = None
    return target.with_name(target.name + ".part").stat().st_size


def test_a_download_is_byte_exact_and_tells_its_progress(site, tmp_path):
    seen = []
    download(site.url, tmp_path / "a.zip", lambda *step: seen.append(step))
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_an_interrupted_download_goes_on_where_it_stopped(site, tmp_path):
    kept = _interrupted(site, tmp_path / "a.zip")
    download(site.url, tmp_path / "a.zip", _nothing)
    assert 0 < kept < len(CONTENT)
    assert site.requests == [None, f"bytes={kept}-"]
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_connection_that_keeps_breaking_is_taken_up_again(site, tmp_path):
    site.cut_after = 90_000
    download(site.url, tmp_path / "a.zip", _nothing, pause=0)
    assert len(site.requests) == 4
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_fetched_anew(site, tmp_path):
    _interrupted(site, tmp_path / "a.zip")
    site.content, site.etag = b"another edition", '"two"'
    download(site.url, tmp_path / "a.zip", _nothing)
    assert (tmp_path / "a.zip").read_bytes() == b"another edition"


@pytest.mark.parametrize("etag", ['W/"weak"', ""])
def test_without_a_strong_validator_nothing_is_pieced_together(site, tmp_path, etag):
    site.etag = etag
    _interrupted(site, tmp_path / "a.zip")
    download(site.url, tmp_path / "a.zip", _nothing)
    assert site.requests == [None, None]
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_everything_again(site, tmp_path):
    _interrupted(site, tmp_path / "a.zip")
    site.ranges = False
    download(site.url, tmp_path / "a.zip", _nothing)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_range_from_elsewhere_is_not_appended(site, tmp_path):
    _interrupted(site, tmp_path / "a.zip")
    site.misplaced = True
    download(site.url, tmp_path / "a.zip", _nothing, pause=0)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_all_bytes_there_but_not_renamed_needs_no_byte_more(site, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(CONTENT)
    (tmp_path / "a.zip.part-validator").write_text(site.etag)
    download(site.url, tmp_path / "a.zip", _nothing)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert len(site.requests) == 1


def test_more_bytes_than_the_server_has_start_over(site, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(CONTENT + b"more")
    (tmp_path / "a.zip.part-validator").write_text(site.etag)
    download(site.url, tmp_path / "a.zip", _nothing, pause=0)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(site, tmp_path):
    site.statuses = [503, 429]
    download(site.url, tmp_path / "a.zip", _nothing, pause=0)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_missing_file_is_said_at_once(site, tmp_path):
    site.statuses = [404]
    with pytest.raises(DownloadError, match="answers 404"):
        download(site.url, tmp_path / "a.zip", _nothing)
    assert len(site.requests) == 1


def test_a_dead_server_is_given_up_with_what_to_do(site, tmp_path):
    kept = _interrupted(site, tmp_path / "a.zip")
    site.statuses = [503] * 9
    with pytest.raises(DownloadError, match=f"{kept:,} bytes are kept"):
        download(site.url, tmp_path / "a.zip", _nothing, pause=0)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "set.zip"])
def test_only_http_is_fetched(tmp_path, url):
    with pytest.raises(DownloadError, match="not an http"):
        download(url, tmp_path / "a.zip", _nothing)


def test_unpacking_leaves_out_the_top_folder_and_clutter(tmp_path):
    files = {
        "chest_xray/train/NORMAL/a.jpeg": b"1",
        "chest_xray/.DS_Store": b"2",
        "__MACOSX/chest_xray/._a": b"3",
        "chest_xray/test/": b"",
    }
    (tmp_path / "a.zip").write_bytes(_zip(files))
    unpack(tmp_path / "a.zip", tmp_path / "out", _nothing)
    found = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert found == [tmp_path / "out/train/NORMAL/a.jpeg"]


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/evil", "C:/evil", "a\\..\\evil", "a/b\\evil", ".."]
)
def test_a_name_that_leads_outside_is_refused_before_anything_is_written(tmp_path, name):
    (tmp_path / "a.zip").write_bytes(_zip({"good": b"1", name: b"2"}))
    with pytest.raises(UnpackError, match="leads outside"):
        unpack(tmp_path / "a.zip", tmp_path / "in" / "out", _nothing)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    (tmp_path / "a.zip").write_bytes(_zip({link: b"/etc"}))
    with pytest.raises(UnpackError, match="is a link"):
        unpack(tmp_path / "a.zip", tmp_path / "out", _nothing)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", b"1")
        archive.writestr("a", b"2")
    with pytest.raises(UnpackError, match="twice"):
        unpack(tmp_path / "a.zip", tmp_path / "out", _nothing)


def test_a_file_that_is_a_folder_too_is_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(_zip({"t/a": b"1", "t/a/b": b"2"}))
    with pytest.raises(UnpackError, match="'t/a' is a file and a folder"):
        unpack(tmp_path / "a.zip", tmp_path / "out", _nothing)


@pytest.mark.parametrize(
    ("offset", "value"), [(6, b"\x63"), (8, b"\x20")], ids=["version 9.9", "patched data"]
)
def test_an_archive_of_another_kind_is_refused(tmp_path, offset, value):
    content = bytearray(_zip({"name": b"1"}))
    place = content.index(b"PK\x01\x02") + offset
    content[place : place + 1] = value
    (tmp_path / "a.zip").write_bytes(bytes(content))
    with pytest.raises(UnpackError, match="not a sound zip"):
        unpack(tmp_path / "a.zip", tmp_path / "out", _nothing)


def test_a_zip_bomb_is_refused_by_its_ratio_and_by_the_caps(tmp_path):
    archive = tmp_path / "a.zip"
    archive.write_bytes(_zip({"zeros": bytes(60 * 2**20)}))
    with pytest.raises(UnpackError, match="unpack to 62,914,560"):
        unpack(archive, tmp_path / "out", _nothing)
    archive.write_bytes(_zip({"a": b"12345", "b": b"12345"}))
    with pytest.raises(UnpackError, match="unpack to 10"):
        unpack(archive, tmp_path / "out", _nothing, max_bytes=9)
    with pytest.raises(UnpackError, match="2 files, over 1"):
        unpack(archive, tmp_path / "out", _nothing, max_files=1)
    assert not (tmp_path / "out").exists()


def test_a_bomb_that_declares_too_little_writes_no_more_than_it_declares(tmp_path):
    content = bytearray(_zip({"zeros": bytes(10 * 2**20)}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", content, content.index(signature) + offset, 100)
    (tmp_path / "a.zip").write_bytes(bytes(content))
    with pytest.raises(UnpackError, match="not a sound zip"):
        unpack(tmp_path / "a.zip", tmp_path / "out", _nothing)
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) <= 100


def test_damaged_and_foreign_archives_are_refused(tmp_path):
    archive, whole = tmp_path / "a.zip", _zip({"a": bytes(range(256)) * 40})
    flipped = bytearray(whole)
    flipped[60] ^= 0xFF
    for name, content in {"cut": whole[:-30], "flipped": bytes(flipped), "html": b"<html>"}.items():
        archive.write_bytes(content)
        with pytest.raises(UnpackError, match="not a sound zip"):
            unpack(archive, tmp_path / name, _nothing)
    archive.write_bytes(_zip({"__MACOSX/a": b"1"}))
    with pytest.raises(UnpackError, match="holds no files"):
        unpack(archive, tmp_path / "out", _nothing)


@pytest.fixture
def public_set(site):
    site.content = _zip(
        {f"chest_xray/{name}": name.encode() for name in ("train/NORMAL/a", "test/NORMAL/b")}
    )
    return PublicSet("Films", site.url, "CC BY 4.0", "http://licence", "Someone (2018)")


def _console():
    return Console(file=io.StringIO(), width=100)


def test_fetching_shows_the_licence_and_the_checksum_and_unpacks(site, public_set, tmp_path):
    console = _console()
    fetch(public_set, tmp_path / "set", console)
    shown, digest = console.file.getvalue(), hashlib.sha256(site.content).hexdigest()
    assert "Licence: CC BY 4.0, http://licence" in shown
    assert "Please cite: Someone (2018)" in shown
    assert digest in shown
    assert (tmp_path / "set/test/NORMAL/b").read_bytes() == b"test/NORMAL/b"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    provenance = json.loads((tmp_path / "set" / PROVENANCE).read_text())
    assert (provenance["sha256"], provenance["licence"]) == (digest, "CC BY 4.0")


def test_a_fetched_set_is_not_fetched_again_and_another_folder_not_touched(
    site, public_set, tmp_path
):
    fetch(public_set, tmp_path / "set", _console())
    fetch(public_set, tmp_path / "set", _console())
    assert len(site.requests) == 1
    (tmp_path / "mine").mkdir()
    with pytest.raises(FetchError, match="exists; name a new folder"):
        fetch(public_set, tmp_path / "mine", _console())


def test_a_wrong_checksum_leaves_nothing(site, public_set, tmp_path):
    wrong = PublicSet(**{**vars(public_set), "sha256": "0" * 64})
    with pytest.raises(FetchError, match="expected 0000"):
        fetch(wrong, tmp_path / "set", _console())
    assert list(tmp_path.iterdir()) == []


def test_a_refused_archive_leaves_nothing(site, public_set, tmp_path):
    site.content = _zip({"../evil": b"1"})
    with pytest.raises(UnpackError):
        fetch(public_set, tmp_path / "set", _console())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_the_archive_and_no_half_set(site, public_set, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("pipeline.datasets.unpack.shutil.copyfileobj", full)
        with pytest.raises(OSError, match="No space left"):
            fetch(public_set, tmp_path / "set", _console())
    assert [path.suffix for path in tmp_path.iterdir()] == [".zip"]
    fetch(public_set, tmp_path / "set", _console())
    assert len(site.requests) == 1


def test_the_command_takes_a_mirror_and_its_checksum(site, public_set, tmp_path, capsys):
    digest = hashlib.sha256(site.content).hexdigest()
    command = ["data", "fetch", str(tmp_path / "set"), "--url", site.url, "--sha256"]
    assert cli.main([*command, "f" * 64]) == 1
    assert "expected ffff" in capsys.readouterr().err
    assert cli.main([*command, digest.upper()]) == 0
    shown = capsys.readouterr().out
    assert "as expected" in shown
    assert "10.17632/rscbjbr9sj" in shown
    with pytest.raises(SystemExit) as stopped:
        cli.main([*command, "not-hex"])
    assert stopped.value.code == 2
