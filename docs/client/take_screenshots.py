"""Takes the README's pictures of a running page: python take_screenshots.py [URL]."""

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).resolve().parents[1] / "images"
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
DENSE_UPPER = 1  # the sample that the pictures show


def main(url: str) -> None:
    """Writes docs/images/web.png and docs/images/web-phone.png."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        desktop = browser.new_page(viewport={"width": 1440, "height": 900})
        desktop.goto(url)
        for place, sample in enumerate(desktop.locator(".sample").all()):
            sample.click()
            desktop.locator(".film-row").nth(place).wait_for()
        _show(desktop, DENSE_UPPER)
        desktop.screenshot(path=IMAGES / "web.png")
        phone = browser.new_page(viewport={"width": 390, "height": 844}, device_scale_factor=2)
        phone.goto(url)
        phone.locator(".sample").nth(DENSE_UPPER).click()
        _show(phone, 0)
        phone.screenshot(path=IMAGES / "web-phone.png")
        browser.close()


def _show(page: Page, place: int) -> None:
    """Selects a film of the visit, once all are answered."""
    page.locator(".film-row").nth(place).wait_for()
    page.locator(".film-row[data-state=waiting], .film-row[data-state=working]").first.wait_for(
        state="detached", timeout=120_000
    )
    page.locator(".film-row").nth(place).click()
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:5000")
