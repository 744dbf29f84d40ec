"""The worklist in a browser: suspected films first, nothing broken, nothing from elsewhere."""

import threading
from types import SimpleNamespace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright
from werkzeug.serving import make_server

from client.pacs.film import NOT_JUDGED, Answer, key_of
from client.pacs.link import Link
from client.pacs.pages import create_app
from client.pacs.queue import Queue
from tests.client.web.test_browser import CHROMIUM, PHONE, QUIET

pytestmark = pytest.mark.browser
ANSWERS = (("NORMAL", 0.031), ("PNEUMONIA", 0.918), (NOT_JUDGED, None), ("PNEUMONIA", 0.642))
SHOWN = ["Pneumonia suspected", "Pneumonia suspected", "Not judged", "Not asked yet",
         "No pneumonia found"]  # fmt: skip


def study(number: int) -> str:
    return f"1.2.826.0.1.3680043.8.498.{number:026}"


@pytest.fixture
def queue(tmp_path):
    queue = Queue(tmp_path / "queue")
    for number, (decision, probability) in enumerate(ANSWERS):
        queue.add(f"1.2.{number}", study(number), b"film")
        film, _ = queue.claim()
        queue.answer(film.key, Answer(1_700_000_000, decision, probability), {"report": b"r"})
        queue.stored(film.key)
    queue.add("1.2.9", study(9), b"film")
    yield queue
    queue.close()


@pytest.fixture
def address(queue):
    links = Link("server"), Link("pacs")
    links[1].down("no association")
    gateway = SimpleNamespace(queue=queue, links=links, is_alive=True)
    app = create_app(gateway, "https://viewer.example/?study={study}")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def test_suspected_films_stand_first_and_the_list_keeps_up(queue, address):
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM}; `apt-get install chromium` brings it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        page = browser.new_page(viewport={"width": 1100, "height": 560})
        page.clock.install()
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("response", lambda got: wrong.append(got.url) if got.status >= 400 else None)
        page.on("request", lambda asked: asked.url.startswith(address) or wrong.append(asked.url))
        page.goto(address)
        rows = page.locator("tbody tr")
        assert [row.locator("td").first.inner_text() for row in rows.all()] == SHOWN
        assert rows.first.locator("a").get_attribute("href").endswith(study(1))
        assert "PACS is away" in page.get_by_role("alert").inner_text()
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        queue.ignore(key_of("1.2.9"))
        with page.expect_response(lambda got: got.url.rstrip("/") == address):
            page.clock.run_for(20_000)
        expect(rows).to_have_count(len(SHOWN) - 1)
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert wrong == []
        browser.close()
