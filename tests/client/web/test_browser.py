"""The page as people use it, in Debian's Chromium: mouse, keys, phone, and what goes wrong."""

import contextlib
import io
import json
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from werkzeug.serving import make_server

from client import PneumoniaClient
from client.request_log import outcomes
from client.request_log.writer import RequestLog
from client.web.app import create_app
from client.web.limits import PageLimits
from client.web.opinions import Opinions
from tests.client.conftest import jpeg
from tests.client.fake_server import FakeModel, serve
from tests.client.web.test_app import dicom

pytestmark = pytest.mark.browser

CHROMIUM = Path("/usr/bin/chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM}; `apt-get install chromium` brings it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        yield browser
        browser.close()


@contextlib.contextmanager
def running(port, log=None, opinions=None):
    """The page for the model server on `port`; yields its address."""
    with PneumoniaClient(f"127.0.0.1:{port}", timeout=10, log=log) as client:
        app = create_app(client, PageLimits(burst=1000), opinions=opinions)
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def site(port):
    with running(port) as address:
        yield address


@pytest.fixture
def lungs(model):
    """The model marks the picture's left half, but for a margin, as lung."""
    model.lungs = np.zeros((224, 224), np.float32)
    model.lungs[30:190, 30:112] = 1


@pytest.fixture
def visit(browser, site):
    """Opens the page; fails on what it complains of, or asks of another host."""
    complaints = []
    contexts = []

    def open_(viewport=DESKTOP, site=site, **options):
        context = browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: _note(message, complaints))
        # Asked for early: Chromium is slow to hand over the first chooser, and a key does not wait.
        page.on("filechooser", lambda chooser: None)
        page.on("request", lambda request: _stay(request, site, complaints))
        page.goto(site)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def _note(message, complaints):
    refused = "Failed to load resource" in message.text  # Chromium's note of a status above 399
    if message.type in ("error", "warning") and not refused:
        complaints.append(message.text)


def _stay(request, site, complaints):
    if not request.url.startswith((site, "blob:", "data:")):
        complaints.append(f"asks another host: {request.url}")


def upload(page, *files):
    """Chooses files by a click, as (name, content)."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Drop X-rays here").click()
    chooser.value.set_files([as_payload(*file) for file in files])


def as_payload(name, content):
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def film(brightness=200):
    return f"film-{brightness}.jpg", jpeg(brightness, size=(320, 240))


def drag_in(page, name, content, padding=0):
    page.evaluate(
        """([name, bytes, padding]) => {
            const transfer = new DataTransfer();
            transfer.items.add(
                new File([new Uint8Array(bytes), new Uint8Array(padding)], name));
            for (const kind of ["dragover", "drop"]) {
                document.querySelector("#main").dispatchEvent(
                    new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true}));
            }
        }""",
        [name, list(content), padding],
    )


def pixel(page, selector, x, y):
    """A canvas's RGBA at a share of its sides."""
    return page.evaluate(
        """([selector, x, y]) => {
            const canvas = document.querySelector(selector);
            const dot = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
            dot.drawImage(canvas, Math.floor(canvas.width * x), Math.floor(canvas.height * y),
                1, 1, 0, 0, 1, 1);
            return [...dot.getImageData(0, 0, 1, 1).data];
        }""",
        [selector, x, y],
    )


def test_a_chosen_xray_gets_a_decision_in_words_and_its_numbers(visit):
    page = visit()
    upload(page, film(200))
    expect(page.locator("#decision-text")).to_have_text("Pneumonia suspected")
    expect(page.locator("#sentence")).to_contain_text("0.78 is at or above")
    expect(page.locator("[data-fact=version]")).to_contain_text("1700000000")
    expect(page.locator("[data-fact=latency]")).to_contain_text("ms")
    expect(page.locator("#announcer")).to_contain_text("film-200.jpg: Pneumonia suspected")


def test_the_threshold_is_marked_where_it_lies(visit):
    page = visit()
    upload(page, film(200))
    expect(page.locator(".scale-marker")).to_be_visible()
    track = page.locator(".scale-track").bounding_box()
    for selector, value in ((".scale-threshold", 0.4), (".scale-marker", 200 / 255)):
        box = page.locator(selector).bounding_box()
        middle = (box["x"] + box["width"] / 2 - track["x"]) / track["width"]
        assert middle == pytest.approx(value, abs=0.02)
    label = page.locator("#scale").get_attribute("aria-label")
    assert "probability 0.78" in label
    assert "threshold 0.40" in label


def test_files_are_dropped_in_and_listed(visit):
    page = visit()
    drag_in(page, *film(200))
    expect(page.locator("#decision-text")).to_have_text("Pneumonia suspected")
    drag_in(page, *film(20))
    expect(page.locator("#decision-text")).to_have_text("No pneumonia detected")
    expect(page.locator(".film-row")).to_have_count(2)
    page.locator(".film-row").first.click()
    expect(page.locator("#decision-text")).to_have_text("Pneumonia suspected")


def test_many_at_once_are_all_answered(visit):
    page = visit()
    upload(page, *[film(value) for value in range(10, 250, 20)])
    expect(
        page.locator(".film-row[data-state=positive], .film-row[data-state=normal]")
    ).to_have_count(12)


def test_a_dicom_is_shown_though_the_browser_cannot_read_it(visit):
    page = visit()
    upload(page, ("film.dcm", dicom()))
    expect(page.locator("#decision-text")).not_to_be_empty()
    expect(page.locator("[data-fact=image]")).to_contain_text("DICOM")
    expect(page.locator("[data-pane=film] canvas")).to_have_js_property("width", 60)
    assert pixel(page, "canvas.film", 0.99, 0.5)[0] > pixel(page, "canvas.film", 0.01, 0.5)[0] + 150


@pytest.mark.usefixtures("lungs")
def test_the_lungs_are_outlined_at_a_click_and_at_a_key(visit):
    page = visit()
    upload(page, film())
    button = page.get_by_role("button", name="Lungs", exact=True)
    expect(page.locator("canvas.lungs")).to_be_hidden()
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    assert pixel(page, "canvas.lungs", 0.5, 0.5)[3] > 250  # the border of both halves
    assert pixel(page, "canvas.lungs", 0.3, 0.5)[3] == 0
    page.locator("#stage").press("l")
    expect(page.locator("canvas.lungs")).to_be_hidden()


def test_without_lungs_in_the_answer_there_is_nothing_to_outline(visit):
    page = visit()
    upload(page, film())
    expect(page.locator("#decision-text")).not_to_be_empty()
    expect(page.locator("#outline")).to_be_disabled()


def test_the_heat_lies_where_the_model_put_it_and_fades_with_the_slider(visit):
    page = visit()
    upload(page, film())
    expect(page.locator("#decision-text")).not_to_be_empty()
    red, green, _, alpha = pixel(page, "canvas.heat", 1 / 3, 2 / 3)
    assert (red > 220, green > 200, alpha > 250) == (True, True, True)
    assert pixel(page, "canvas.heat", 0.9, 0.1)[3] == 0
    film_box = page.locator("[data-pane=heat] canvas.film").bounding_box()
    assert page.locator("canvas.heat").bounding_box() == film_box
    slider = page.get_by_role("slider", name="Heat map")
    slider.fill("20")
    assert page.locator("canvas.heat").evaluate("e => getComputedStyle(e).opacity") == "0.2"
    slider.press("ArrowRight")
    assert page.locator("canvas.heat").evaluate("e => getComputedStyle(e).opacity") == "0.21"


def test_window_and_invert_change_the_grey(visit):
    page = visit()
    upload(page, film(100))
    expect(page.locator("#decision-text")).not_to_be_empty()
    shown = lambda: pixel(page, "[data-pane=heat] canvas.film", 0.5, 0.5)[0]  # noqa: E731
    settle = lambda: page.evaluate("new Promise(requestAnimationFrame)")  # noqa: E731
    assert shown() == pytest.approx(100, abs=2)
    page.get_by_role("button", name="Invert").click()
    settle()
    assert shown() == pytest.approx(155, abs=2)
    page.get_by_role("button", name="Reset").click()
    page.get_by_role("slider", name="Level").fill("100")
    page.get_by_role("slider", name="Window").fill("50")
    settle()
    assert shown() == pytest.approx(128, abs=6)
    page.get_by_role("slider", name="Level").fill("200")
    settle()
    assert shown() == 0


def test_wheel_zooms_at_the_pointer_and_drag_moves(visit):
    page = visit()
    upload(page, film())
    expect(page.locator("#decision-text")).not_to_be_empty()
    sheet = page.locator("[data-pane=heat] .sheet")
    stage = page.locator("#stage").bounding_box()
    x, y = stage["x"] + 200, stage["y"] + 150
    before = sheet.bounding_box()
    share = (x - before["x"]) / before["width"]
    page.mouse.move(x, y)
    page.mouse.wheel(0, -500)
    after = sheet.bounding_box()
    assert after["width"] > 1.5 * before["width"]
    assert (x - after["x"]) / after["width"] == pytest.approx(share, abs=0.01)
    page.mouse.down()
    page.mouse.move(x + 60, y + 30, steps=4)
    page.mouse.up()
    moved = sheet.bounding_box()
    assert (moved["x"] - after["x"], moved["y"] - after["y"]) == pytest.approx((60, 30), abs=2)
    page.get_by_role("button", name="Fit").click()
    assert sheet.bounding_box() == before


def test_side_by_side_shows_both_at_the_same_place(visit):
    page = visit()
    upload(page, film())
    expect(page.locator("#decision-text")).not_to_be_empty()
    page.get_by_text("Side by side", exact=True).click()
    left, right = (
        page.locator(f"[data-pane={pane}] .sheet").bounding_box() for pane in ("film", "heat")
    )
    assert left["width"] == right["width"]
    assert left["y"] == right["y"]
    assert right["x"] >= left["x"] + left["width"]


def test_everything_works_by_keyboard(visit):
    page = visit()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Add X-rays")).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files([as_payload(*film(200)), as_payload(*film(20))])
    expect(page.locator("#decision-text")).to_have_text("Pneumonia suspected")
    for _ in range(30):
        if page.evaluate("document.activeElement.id") == "stage":
            break
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "stage"
    page.keyboard.press("n")
    expect(page.locator("#decision-text")).to_have_text("No pneumonia detected")
    page.keyboard.press("s")
    expect(page.locator("#stage")).to_have_attribute("data-view", "both")
    page.keyboard.press("i")
    expect(page.get_by_role("button", name="Invert")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_overlay_and_result_are_downloaded_under_the_films_name(visit):
    page = visit()
    upload(page, film(200))
    with page.expect_download() as overlay:
        page.get_by_role("link", name="Overlay").click()
    assert overlay.value.suggested_filename == "film-200.overlay.png"
    image = Image.open(io.BytesIO(Path(overlay.value.path()).read_bytes()))
    assert image.size == (320, 240)
    with page.expect_download() as result:
        page.get_by_role("link", name="Result").click()
    values = json.loads(Path(result.value.path()).read_text())
    assert (values["file"], values["decision"]) == ("film-200.jpg", "PNEUMONIA")
    assert "not a medical device" in values["notice"]
    assert not any(name.endswith("_png") for name in values)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("page.dcm", b"<html><script>alert(1)</script></html>", "Neither JPEG, PNG nor DICOM"),
        ("x.svg", b"<svg onload='alert(1)'/>", "Neither JPEG, PNG nor DICOM"),
        ("cut.jpg", jpeg()[:250], "The file is cut off"),
        ("<img src=x onerror=alert(1)>.jpg", b"", "Neither JPEG, PNG nor DICOM"),
    ],
)
def test_an_unusable_file_says_why_and_the_next_one_works(visit, name, content, words):
    page = visit()
    upload(page, (name, content), film())
    expect(page.locator("#unusable")).to_contain_text(words)
    expect(page.locator(".film-row b").first).to_have_text(name)
    expect(page.locator("#report")).to_be_hidden()
    page.locator(".film-row").nth(1).click()
    expect(page.locator("#decision-text")).to_have_text("Pneumonia suspected")


def test_a_file_over_the_limit_is_not_even_sent(visit, model):
    page = visit()
    drag_in(page, "huge.dcm", [], padding=33 * 2**20)
    expect(page.locator("#unusable")).to_contain_text("Larger than 32 MB")
    assert model.calls == []


def test_an_unusual_image_is_visibly_doubted(visit, model):
    model.quality, model.familiarity = 0.1, 0.9
    page = visit()
    upload(page, film())
    expect(page.locator("#warning")).to_contain_text(
        "This image is no frontal chest film with two lungs"
    )
    expect(page.locator(".film-row small")).to_contain_text("Unusual image")


def test_no_word_of_quality_where_the_model_says_none(visit):
    page = visit()
    upload(page, film())
    expect(page.locator("#decision-text")).not_to_be_empty()
    expect(page.locator("#warning")).to_be_hidden()


def test_a_server_that_is_away_is_said_and_its_return_noticed(visit, unused_port):
    with running(unused_port) as address:
        page = visit(site=address)
        expect(page.locator("#banner")).to_contain_text("pneumonia serve")
        expect(page.locator("#server")).to_have_text("Model server away")
        upload(page, film())
        expect(page.locator("#unusable")).to_contain_text("The model server does not answer")
        with serve(FakeModel(), port=unused_port):
            expect(page.locator("#decision-text")).to_have_text(
                "Pneumonia suspected", timeout=30_000
            )
            expect(page.locator("#banner")).to_be_hidden()


def test_samples_are_marked_synthetic_and_answered(visit):
    page = visit()
    expect(page.locator(".samples .tag")).to_have_text("synthetic")
    page.locator(".sample").first.click()
    expect(page.locator("#name")).to_contain_text("(synthetic)")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE, {"width": 1000, "height": 700}])
def test_the_notice_is_always_in_sight_and_nothing_sticks_out(visit, viewport):
    page = visit(viewport)
    notice = page.get_by_text("Research use only, not a medical device.")
    expect(notice).to_be_in_viewport()
    upload(page, film())
    expect(page.locator("#decision-text")).not_to_be_empty()
    page.mouse.wheel(0, 3000)
    expect(notice).to_be_in_viewport()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"]


def test_a_phone_sees_the_decision_without_scrolling(visit):
    page = visit(PHONE, has_touch=True, is_mobile=True)
    upload(page, film())
    expect(page.locator("#decision-text")).to_be_in_viewport()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_no_fault(visit, model, viewport):
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()

    def faults(page):
        found = axe.run(page).response["violations"]
        return [
            (fault["id"], [node["target"] for node in fault["nodes"]], fault["impact"])
            for fault in found
        ]

    model.quality = 0.1
    page = visit(viewport)
    expect(page.locator("#server")).to_have_text("Model server ready")
    assert faults(page) == []
    upload(page, film(), ("x.txt", b"no X-ray"))
    expect(page.locator(".film-row[data-state=failed]")).to_have_count(1)
    expect(page.locator("#decision-text")).not_to_be_empty()
    assert faults(page) == []
    page.locator(".film-row").nth(1).click()
    page.locator("#help").click()
    assert faults(page) == []


def test_a_reader_may_disagree_where_the_page_keeps_it(visit, port, tmp_path):
    log = RequestLog(tmp_path / "log" / "a")
    with running(port, log=log, opinions=Opinions(tmp_path / "log")) as address:
        page = visit(site=address)
        upload(page, film(200))
        expect(page.locator("#decision-text")).to_have_text("Pneumonia suspected")
        page.get_by_role("button", name="Disagree").click()
        expect(page.locator("#opinion-text")).to_have_text("Kept")
        expect(page.get_by_role("button", name="Disagree")).to_have_attribute(
            "aria-pressed", "true"
        )
        page.get_by_role("button", name="Agree", exact=True).click()
        expect(page.locator("#agree")).to_have_attribute("aria-pressed", "true")
    (kept,) = outcomes.read(tmp_path / "log").values()
    assert (kept.label, kept.source) == (1, outcomes.FROM_PAGE)
