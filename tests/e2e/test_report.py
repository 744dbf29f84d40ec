"""The report of a small run: what it says is what TFMA measured, and it needs nothing else."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import tensorflow_model_analysis as tfma
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from pipeline.runs import lineage
from tests.client.web.test_browser import CHROMIUM, DESKTOP, PHONE, QUIET
from tests.e2e.conftest import REFUSED

MEGABYTE = 2**20


class Figures(HTMLParser):
    """Collects the text of elements with `data-figure`, and what the page would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.shown: dict[str, str] = {}
        self.loads: list[str] = []
        self._key: str | None = None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self._key = given.get("data-figure")
        if tag in ("script", "img", "link", "iframe", "source"):
            self.loads += [given[name] for name in ("src", "href") if name in given]

    def handle_endtag(self, tag):
        self._key = None

    def handle_data(self, data):
        if self._key:
            self.shown[self._key] = data


@pytest.fixture(scope="module")
def folder(refused) -> Path:
    """Of a run whose second, refused model is compared with the first one."""
    cwd, ended = refused
    assert "report: runs/default/report.html" in ended.stdout
    return cwd / "runs/default"


@pytest.fixture(scope="module")
def page(folder) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def evaluation(folder) -> str:
    steps = lineage.latest_steps(folder / "metadata.db")
    return str(steps["Evaluator"].outputs["evaluation"].uri)


def _measured(evaluation: str, model: str) -> dict[tuple, dict[str, float]]:
    """TFMA's own values by slice; decisions and probabilities together."""
    result = tfma.load_eval_result(evaluation, model_name=model)
    return {
        key: {
            name: value["doubleValue"]
            for output in ("", "label")
            for name, value in metrics[output][""].items()
        }
        for key, metrics in result.slicing_metrics
    }


def test_every_figure_of_the_whole_test_split_is_tfma_s_to_four_digits(page, evaluation):
    shown = Figures(page).shown
    now = _measured(evaluation, tfma.CANDIDATE_KEY)[()]
    before = _measured(evaluation, tfma.BASELINE_KEY)[()]
    for name in ("recall", "specificity", "precision", "auc", "pr_auc", "calibration"):
        for group, values in (("new", now), ("before", before)):
            assert float(shown[f"{group}.{name}"]) == pytest.approx(values[name], abs=5.1e-5)
    for key in ("overall.brier_score", "overall.auc", "overall.recall", "bound.precision"):
        assert float(shown[key]) == pytest.approx(now[key.partition(".")[2]], abs=5.1e-5)
    assert float(shown["bound.recall_drop"]) == pytest.approx(-now["recall_diff"], abs=5.1e-5)
    for name in ("true_positives", "false_negatives", "false_positives", "true_negatives"):
        assert int(shown[f"count.{name}"]) == now[name]


def test_every_slice_s_figures_are_tfma_s_to_four_digits(page, evaluation):
    shown = Figures(page).shown
    slices = _measured(evaluation, tfma.CANDIDATE_KEY)
    assert len(slices) > 5
    compared = 0
    for key, values in slices.items():
        name = "=".join(map(str, key[0])) if key else "all"
        for figure in ("recall", "specificity", "precision", "auc"):
            text = shown.get(f"{name}.{figure}", "–")
            if text != "–":
                assert float(text) == pytest.approx(values[figure], abs=5.1e-5)
                compared += 1
    assert compared > 2 * len(slices)


def test_it_loads_nothing_and_stays_small(page):
    assert len(page.encode()) < 5 * MEGABYTE
    assert all(address.startswith("data:") for address in Figures(page).loads)
    # SVG's name space is the only address in it.
    assert set(re.findall(r"https?://[\w./]+", page)) <= {"http://www.w3.org/2000/svg"}


def test_a_refused_model_has_a_report_with_the_reason(page):
    assert "<title>Refused" in page
    assert re.search(r"Not to be used: (recall|precision) 0\.\d+ is below", page)
    assert "✗ not ok" in page


def test_films_with_errors_are_shown_with_their_heat_maps(page):
    pictures = page.count('class="overlay"')
    assert 0 < pictures <= 24
    changed = page.count('class="two"')  # the gate's, in pairs, too
    assert page.count('src="data:image/jpeg;base64,') == 2 * (pictures + changed)


def test_the_command_brings_a_lost_report_back(folder, page, pneumonia):
    (folder / "report.html").unlink()
    told = pneumonia(folder.parents[1], "report")
    assert told.returncode == REFUSED
    assert told.stderr == ""
    assert "report: runs/default/report.html" in told.stdout
    assert (folder / "report.html").read_text(encoding="utf-8") == page


def test_a_run_without_a_report_says_what_to_do(folder, tmp_path, pneumonia):
    copy = tmp_path / "runs" / "default"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("artifacts", "cache"))
    steps = lineage.latest_steps(copy / "metadata.db")
    kept = Path(steps["Reporter"].outputs["report"].uri)
    aside = kept.rename(kept.with_name("aside"))
    try:
        told = pneumonia(tmp_path, "report")
    finally:
        aside.rename(kept)
    assert told.returncode == 1
    assert "start it again" in told.stderr.splitlines()[-1]
    assert "Traceback" not in told.stderr


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, folder):
    """Opens the report without a network; fails on what it complains of or asks for."""
    complaints, contexts = [], []

    def open_(viewport=DESKTOP, **options):
        context = browser.new_context(viewport=viewport, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", lambda request: complaints.append(request.url[:80]))
        page.goto((folder / "report.html").absolute().as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    loaded = [text for text in complaints if not text.startswith(("file:", "data:"))]
    assert loaded == []
    assert len([text for text in complaints if text.startswith("file:")]) == 1


def _set(page, control: str, value: object) -> None:
    page.locator(control).evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }",
        str(value),
    )


@pytest.mark.browser
def test_the_explorer_starts_at_the_model_s_own_threshold(visit, page):
    shown = Figures(page).shown
    explorer = visit()
    expect(explorer.locator("#cut-value")).to_contain_text("the model's own")
    expect(explorer.locator("#sensitivity")).to_have_text(shown["overall.recall"])
    expect(explorer.locator("#specificity")).to_have_text(shown["overall.specificity"])


@pytest.mark.browser
def test_another_threshold_and_prevalence_change_what_would_happen(visit):
    explorer = visit()
    _set(explorer, "#cut", 0)
    expect(explorer.locator("#sensitivity")).to_have_text("1.0000")
    expect(explorer.locator("#specificity")).to_have_text("0.0000")
    explorer.get_by_role("button", name="5 %").click()
    # All are called sick: the PPV is the prevalence, and all healthy ones are alarms.
    expect(explorer.locator("#ppv")).to_have_text("0.0500")
    expect(explorer.locator("#missed")).to_have_text("0")
    expect(explorer.locator("#alarms")).to_have_text("950")
    assert explorer.locator("#people .alarm").count() == 950
    _set(explorer, "#cut", 10_000)  # the slider stops at its end
    expect(explorer.locator("#sensitivity")).to_have_text("0.0000")
    expect(explorer.locator("#missed")).to_have_text("50")
    explorer.get_by_role("button", name="Back to the model's own").click()
    expect(explorer.locator("#cut-value")).to_contain_text("the model's own")


@pytest.mark.browser
def test_heat_maps_can_be_taken_off(visit):
    report = visit()
    overlay = report.locator(".overlay").first
    expect(overlay).to_be_visible()
    report.get_by_label("show heat maps").uncheck()
    expect(overlay).to_be_hidden()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_it_fits_the_screen_and_can_be_read_by_everyone(visit, viewport, scheme):
    report = visit(viewport=viewport, color_scheme=scheme)
    assert report.evaluate("document.documentElement.scrollWidth <= innerWidth")
    faults = Axe().run(report).response["violations"]
    assert [(fault["id"], fault["nodes"][0]["html"][:120]) for fault in faults] == []


@pytest.mark.browser
def test_on_paper_it_has_no_controls(visit):
    report = visit()
    report.emulate_media(media="print")
    expect(report.get_by_role("button")).to_have_count(0)
    expect(report.locator("nav")).to_be_hidden()
    expect(report.locator("#cut-value")).to_be_visible()
