"""The whole story after a push: served with a log, drifted, found worse, recalibrated, shadowed."""

import csv
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from PIL import Image, ImageFilter
from playwright.sync_api import expect, sync_playwright

from client.exit_codes import DONE, DRIFTED, REFUSED
from client.request_log import reader
from tests.client.web.test_browser import CHROMIUM, DESKTOP, QUIET
from tests.e2e.conftest import ANY_MODEL, NO_FLOORS, NO_REPORT, ROOT, TINY, Run, settings
from tests.ports import free_port
from tests.serving.test_swap import until

pytestmark = [pytest.mark.slow, pytest.mark.browser]
FILMS, WINDOW = 200, 50
# However little so thin a network learns, it calls some films healthy.
MISSES_HALF = (*TINY, *NO_FLOORS, *NO_REPORT, "operating_point.sensitivity=0.5")


def other_look(film: Path, target: Path) -> None:
    """As another hospital's workstation might export it: soft, flat, and saved with little care."""
    image = Image.open(film).convert("L").filter(ImageFilter.GaussianBlur(2))
    flat = image.point(lambda grey: int(96 + 0.4 * grey))
    file = io.BytesIO()
    flat.save(file, "JPEG", quality=20)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_suffix(".jpeg").write_bytes(file.getvalue())


def diagnoses(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("film", "diagnosis"), *rows])
    return path


@pytest.fixture
def story(films: Path, pneumonia: Run, tmp_path: Path):
    """A model that misses films, served with a log; films alike, and of another look."""
    cwd = tmp_path / "story"
    cwd.mkdir()
    ended = pneumonia(cwd, "run", "--data", str(films), *settings(*MISSES_HALF))
    assert ended.returncode == DONE, ended.stdout + ended.stderr
    made = pneumonia(cwd, "data", "synthesize", "alike", "--images", str(FILMS), "--seed", "77")
    assert made.returncode == DONE, made.stderr
    for film in (cwd / "alike").rglob("*.*"):
        if film.parent.name in ("NORMAL", "PNEUMONIA"):
            other_look(film, cwd / "other" / film.parent.name / film.name)
    port = free_port()
    command = [sys.executable, "-m", "cli", "serve", "--run", "default", "--engine", "embedded"]
    command += [f"--port={port}", f"--rest_api_port={free_port()}", "--log_pixels=true"]
    server = subprocess.Popen(
        [*command, f"--request_log={cwd / 'log' / 'answers'}"],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(300)
    yield cwd, f"127.0.0.1:{port}"
    server.terminate()
    server.wait(60)


def test_a_model_is_watched_from_its_push_to_its_successor(story, pneumonia: Run) -> None:
    cwd, server = story
    log, watched = cwd / "log", ("--log", "log", "--run", "default")

    def send(folder: str) -> None:
        before = len(list(reader.read(log))) if log.is_dir() and any(log.iterdir()) else 0
        asked = pneumonia(cwd, "predict", folder, "--server", server, "--format", "json")
        assert asked.returncode == DONE, asked.stderr[-2000:]
        count = len(asked.stdout.splitlines())
        until(lambda: len(list(reader.read(log))) == before + count)

    # Films like those of the training raise no alarm.
    send("alike")
    ended = pneumonia(cwd, "drift", *watched, "--window", str(WINDOW))
    assert ended.returncode == DONE, ended.stdout + ended.stderr

    # Films of another look do, in their first window.
    send("other")
    ended = pneumonia(cwd, "drift", *watched, "--window", str(WINDOW), "--metrics", "drift.prom")
    assert ended.returncode == DRIFTED, ended.stdout + ended.stderr
    assert f"the first films {FILMS + 1} to {FILMS + WINDOW}" in " ".join(ended.stdout.split())
    assert re.search(r"^pneumonia_drifted_windows [1-9]", (cwd / "drift.prom").read_text(), re.M)
    _look_at(log / "drift.html")

    # Every film was a pneumonia in the end, it turns out, those that were called healthy, too.
    films = list(reader.read(log))
    late = [(film.sha256, "PNEUMONIA") for film in films]
    assert pneumonia(cwd, "audit", *watched, "--bound", "0.5").returncode == DONE
    table = diagnoses(cwd / "late.csv", late)
    assert pneumonia(cwd, "outcomes", "add", str(table), "--log", "log").returncode == DONE
    ended = pneumonia(cwd, "audit", *watched, "--bound", "0.9")
    assert ended.returncode == REFUSED, ended.stdout + ended.stderr
    assert "recalibrate, retrain, or roll back" in " ".join(ended.stdout.split())

    # A recalibration to the new look is pushed; the old version must be shadowed to come back.
    serving = cwd / "runs/default/serving/pneumonia"
    (old,) = (int(path.name) for path in serving.glob("[0-9]*"))
    changed = settings(*ANY_MODEL)
    ended = pneumonia(cwd, "recalibrate", "--data", "other", "--run", "default", *changed)
    assert ended.returncode == DONE, ended.stdout + ended.stderr
    back = ("promote", "--version", str(old), "--run", "default", "--shadowed")
    assert pneumonia(cwd, *back).returncode == REFUSED
    shadowed = pneumonia(cwd, "shadow", "--candidate", str(old), *watched)
    assert shadowed.returncode in (DONE, REFUSED), shadowed.stderr
    assert f"of {len(films)} films" in " ".join(shadowed.stdout.split())
    assert (log / "shadow.html").is_file()
    assert pneumonia(cwd, *back).returncode == shadowed.returncode


def _look_at(page: Path) -> None:
    """The page in a browser: no error, nothing loaded from elsewhere."""
    if not CHROMIUM.exists():
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        tab = browser.new_page(viewport=DESKTOP)
        faults: list[str] = []
        asked: list[str] = []
        tab.on("console", lambda message: faults.append(message.text))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(page.as_uri())
        expect(tab.locator("h1")).to_contain_text("Drifted")
        expect(tab.locator("#windows tbody tr")).to_have_count(2 * FILMS // WINDOW)
        assert not faults
        assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
        tab.screenshot(path=str(page.with_suffix(".png")), full_page=True)
        browser.close()
