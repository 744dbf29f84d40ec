"""`pneumonia predict` as a user calls it, against a fake model server."""

import contextlib
import csv
import errno
import io
import json
import os
import subprocess
import sys
import threading
from functools import partialmethod
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image

import cli
from client.client import PneumoniaClient
from client.results import UNUSUAL
from tests.client.conftest import jpeg
from tests.client.fake_server import THRESHOLD, VERSION, serve
from tests.client.image_files import dicom, encoded


@pytest.fixture
def predict(port, capfd):
    """Runs the command; returns its exit code, standard output and standard error."""

    def call(*arguments, server=None):
        server = server or f"127.0.0.1:{port}"
        code = cli.main(["predict", *map(str, arguments), "--server", server])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def folder(tmp_path):
    """A bright and a dark film, a text file and a cut-off JPEG, in two folders."""
    films = tmp_path / "films"
    (films / "b").mkdir(parents=True)
    (films / "a.jpg").write_bytes(jpeg(200))
    (films / "b" / "c.jpeg").write_bytes(jpeg(20))
    (films / "b" / "cut.jpg").write_bytes(jpeg(20)[:200])
    (films / "notes.txt").write_text("no X-ray")
    (films / ".hidden").write_text("not asked about")
    return films


def test_every_file_is_one_json_line_and_a_bad_one_is_its_reason(predict, folder):
    code, out, err = predict(folder, "--format", "json")
    rows = {Path(row["file"]).name: row for row in map(json.loads, out.splitlines())}
    assert list(rows) == ["a.jpg", "notes.txt", "c.jpeg", "cut.jpg"]
    assert code == 1
    assert rows["a.jpg"]["decision"] == "PNEUMONIA"
    assert rows["a.jpg"]["probability"] == pytest.approx(200 / 255, abs=0.01)
    assert rows["a.jpg"]["threshold"] == pytest.approx(THRESHOLD)
    assert rows["a.jpg"]["version"] == VERSION
    assert rows["a.jpg"]["error"] is None
    assert rows["c.jpeg"]["decision"] == "NORMAL"
    assert rows["notes.txt"]["error"] == "not_an_image"
    assert rows["cut.jpg"]["error"] == "truncated"
    assert rows["cut.jpg"]["probability"] is None
    assert "4 files: 2 unanswered" in err


def test_csv_has_a_header_and_the_same_rows(predict, folder):
    _, out, _ = predict(folder, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["decision"] for row in rows] == ["PNEUMONIA", "", "NORMAL", ""]
    assert [row["error"] for row in rows] == ["", "not_an_image", "", "truncated"]


def test_the_table_sets_the_probability_against_the_threshold(predict, folder):
    _, out, _ = predict(folder)
    lines = out.splitlines()
    assert lines[0].split() == ["File", "Decision", "Probability", "Threshold", "Version", "Time"]
    assert lines[1].split()[1:6] == ["PNEUMONIA", "0.784", "≥", "0.400", str(VERSION)]
    assert "unanswered" in lines[2]
    assert "neither JPEG, PNG nor DICOM" in lines[2]
    assert lines[3].split()[1:5] == ["NORMAL", "0.078", "<", "0.400"]


def test_all_answered_is_success(predict, folder):
    assert predict(folder / "a.jpg", folder / "b" / "c.jpeg")[0] == 0


def test_a_positive_fails_only_where_asked(predict, folder):
    assert predict(folder / "a.jpg", "--fail-on-positive")[0] == 4
    assert predict(folder / "b" / "c.jpeg", "--fail-on-positive")[0] == 0
    assert predict(folder, "--fail-on-positive")[0] == 1


def test_heat_maps_are_pngs_in_the_folders_own_tree(predict, folder, tmp_path, model):
    (folder / "a.png").write_bytes((folder / "a.jpg").read_bytes())
    heat = tmp_path / "heat"
    _, out, _ = predict(folder, "--heatmaps", heat, "--format", "json")
    written = sorted(str(path.relative_to(heat)) for path in heat.rglob("*") if path.is_file())
    assert written == ["a.jpg.png", "a.png.png", "b/c.jpeg.png"]
    assert Image.open(heat / "a.jpg.png").size == Image.open(folder / "a.jpg").size
    named = [json.loads(line)["overlay"] for line in out.splitlines()]
    assert [Path(path) for path in named if path] == [
        heat / "a.jpg.png",
        heat / "a.png.png",
        heat / "b/c.jpeg.png",
    ]
    assert set(model.calls) == {"cam"}


def test_a_second_run_does_not_ask_about_its_own_heat_maps(predict, folder):
    heat = folder / "heat"
    for _ in range(2):
        _, out, _ = predict(folder, "--heatmaps", heat, "--format", "json")
    assert len(out.splitlines()) == 4


def test_a_folder_that_cannot_hold_heat_maps_is_one_line(predict, folder, tmp_path):
    (tmp_path / "heat").write_text("a file")
    code, _, err = predict(folder / "a.jpg", "--heatmaps", tmp_path / "heat")
    assert code == 1
    assert str(tmp_path / "heat") in err


def test_without_a_server_one_line_says_how_to_start_one(predict, folder, unused_port):
    code, out, err = predict(folder, server=f"127.0.0.1:{unused_port}")
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert "pneumonia serve" in err
    assert str(unused_port) in err


def test_a_server_that_is_still_starting_is_waited_for(predict, folder, model, unused_port):
    late = threading.Timer(1.0, lambda: servers.enter_context(serve(model, port=unused_port)))
    with contextlib.ExitStack() as servers:
        late.start()
        code, out, _ = predict(
            folder / "a.jpg", "--wait", "60", "--format", "csv", server=f"127.0.0.1:{unused_port}"
        )
        late.join()
    assert code == 0
    assert "PNEUMONIA" in out


def test_a_server_that_leaves_in_between_ends_it_in_one_line(predict, folder, model, monkeypatch):
    one_by_one = partialmethod(PneumoniaClient.stream, most=1)
    monkeypatch.setattr(PneumoniaClient, "stream", one_by_one)
    answer = model.predict

    def leave(request, context):
        if model.calls:
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        return answer(request, context)

    model.predict = leave
    with serve(model) as port:
        code, out, err = predict(folder, "--format", "json", server=f"127.0.0.1:{port}")
    assert code == 1
    assert [Path(json.loads(line)["file"]).name for line in out.splitlines()] == [
        "a.jpg",
        "notes.txt",
    ]
    assert len(err.splitlines()) == 1
    assert "pneumonia serve" in err


def test_heat_maps_never_leave_their_folder(predict, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "x.jpg").write_bytes(jpeg())
    (tmp_path / "here" / "y.jpg").write_bytes(jpeg())
    monkeypatch.chdir(tmp_path / "here")
    code, _, _ = predict("../x.jpg", "../here/../here/y.jpg", "y.jpg", "--heatmaps", "heat")
    assert code == 0
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png"))
    assert written == ["here/heat/here/y.jpg.png", "here/heat/x.jpg.png"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["x.png", "--format", "xml"],
        ["x.png", "--timeout", "-1"],
        ["x.png", "--timeout", "soon"],
    ],
)
def test_bad_usage_is_2(arguments, capfd):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["predict", *arguments])
    assert exit_.value.code == 2


@pytest.mark.parametrize(
    "options",
    [["--server", "http://x:1"], ["--tls-ca", "/no/such.pem"], ["--tls-cert", "only-one.pem"]],
)
def test_a_server_that_cannot_be_meant_is_bad_usage(options, folder, capfd):
    assert cli.main(["predict", str(folder), *options]) == 2
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_an_empty_folder_is_said(predict, tmp_path):
    code, _, err = predict(tmp_path)
    assert code == 1
    assert str(tmp_path) in err


def test_a_missing_file_is_a_row(predict, folder):
    code, out, _ = predict(folder / "a.jpg", folder / "none.png", "--format", "json")
    assert code == 1
    assert [json.loads(line)["error"] for line in out.splitlines()] == [None, "unreadable"]


def test_a_name_too_long_for_a_file_is_a_row(predict, folder):
    code, out, _ = predict("a" * 300, folder / "a.jpg", "--format", "json")
    assert code == 1
    assert [json.loads(line)["error"] for line in out.splitlines()] == ["unreadable", None]


def test_a_linked_folder_is_followed_once(predict, folder, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "d.jpg").write_bytes(jpeg(20))
    (folder / "link").symlink_to(tmp_path / "more")
    (folder / "b" / "round").symlink_to(folder)
    _, out, _ = predict(folder, "--format", "json")
    assert [Path(json.loads(line)["file"]).name for line in out.splitlines()] == [
        *("a.jpg", "notes.txt", "c.jpeg", "cut.jpg"),
        "d.jpg",
    ]


def test_a_folder_that_cannot_be_listed_is_a_row(predict, folder, monkeypatch):
    real = os.scandir

    def scandir(path):
        if Path(path).name == "b":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    code, out, _ = predict(folder, "--format", "json")
    assert code == 1
    assert {Path(json.loads(line)["file"]).name for line in out.splitlines()} == {
        *("a.jpg", "notes.txt", "b")
    }


def test_the_overlay_of_a_long_name_has_a_short_one(predict, tmp_path):
    film = tmp_path / ("f" * 248 + ".jpg")
    film.write_bytes(jpeg(200))
    code, _, _ = predict(film, "--heatmaps", tmp_path / "out")
    assert code == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 1


def test_a_file_named_twice_is_asked_about_once(predict, folder):
    _, out, _ = predict(folder, folder / "a.jpg", folder / "b", "--format", "json")
    assert len(out.splitlines()) == 4


def test_a_hostile_name_reaches_no_terminal(predict, tmp_path):
    names = [b"\x1b[2Jred[bold].jpg", b"new\nline.jpg", b"\xff.jpg", "肺.jpg".encode()]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(jpeg())
    for format_ in ("table", "csv", "json"):
        code, out, _ = predict(tmp_path, "--format", format_)
        assert code == 0
        assert "\x1b" not in out
        assert len(out.splitlines()) == len(names) + (format_ != "json")
    assert any("[bold]" in json.loads(line)["file"] for line in out.splitlines())


def test_an_unusual_image_is_warned_of(predict, folder, model):
    model.quality, model.familiarity = 0.1, 0.9
    _, table, _ = predict(folder / "a.jpg")
    _, lines, _ = predict(folder / "a.jpg", "--format", "json")
    assert UNUSUAL in table
    assert json.loads(lines)["warning"] == UNUSUAL


def test_what_is_odd_about_a_file_is_told(predict, tmp_path):
    (tmp_path / "dark.png").write_bytes(encoded(np.full((9, 9), 4000, np.uint16), "PNG"))
    (tmp_path / "side.dcm").write_bytes(dicom(ViewPosition="LL"))
    for format_ in ("table", "csv", "json"):
        _, out, _ = predict(tmp_path, "--format", format_)
        assert "whose greys use 12" in out
        assert "ViewPosition is LL" in out


def test_hundreds_of_files_stay_in_order(predict, tmp_path):
    for number in range(300):
        (tmp_path / f"{number:03}.jpg").write_bytes(jpeg(number % 250, size=(8, 8)))
    code, out, _ = predict(tmp_path, "--format", "json")
    assert code == 0
    assert [Path(json.loads(line)["file"]).stem for line in out.splitlines()] == [
        f"{number:03}" for number in range(300)
    ]


def test_a_reader_that_stops_reading_leaves_no_traceback(port, tmp_path):
    for number in range(50):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(size=(8, 8)))
    command = [sys.executable, "-m", "cli", "predict", str(tmp_path), "--format", "json"]
    with subprocess.Popen(
        [*command, "--server", f"127.0.0.1:{port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(cli.__file__).parent,
    ) as process:
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
