"""Runs side by side: list and page say what TFMA measured, and the page needs no network."""

import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from components.evaluator import results
from pipeline.runs import lineage
from tests.client.web.test_browser import CHROMIUM, DESKTOP, PHONE, QUIET
from tests.e2e.conftest import DONE
from tests.e2e.test_report import Figures

FAILED = 1


@pytest.fixture(scope="module")
def listed(refused, pneumonia):
    """The folder of a blessed and a refused run, what the command said of them, and the page."""
    cwd, _ = refused
    told = pneumonia(cwd, "runs", "--page")
    assert told.returncode == DONE, told.stderr
    return cwd, told.stdout, (cwd / "runs/runs.html").read_text(encoding="utf-8")


def test_each_run_stands_with_its_verdict_and_what_was_changed(listed):
    _, told, page = listed
    rows = {line.split()[0]: line for line in told.splitlines() if line.startswith("default.")}
    assert "default.2 " in told
    assert "refused" in told
    assert "train.learning_rate 0.003 → 0.002" in " ".join(told.split())
    assert len(rows) == 2
    assert page.count("<tr data-run=") == 2
    assert "train.learning_rate" in page


def test_the_paired_test_counts_the_films_that_tfma_s_counts_differ_by(listed):
    cwd, _, page = listed
    shown = Figures(page).shown
    runs = list(lineage.pipeline_runs(cwd / "runs/default/metadata.db"))
    second, first = (
        results.read(run.steps["Evaluator"].outputs["evaluation"].uri).candidate.overall.counts
        for run in runs
        if run.steps["Evaluator"].succeeded and not run.steps["Evaluator"].cached
    )
    for name, one, other in (
        ("PNEUMONIA", first.true_positives, second.true_positives),
        ("NORMAL", first.true_negatives, second.true_negatives),
    ):
        only_first, only_second = (int(shown[f"{name}.{which}"]) for which in ("first", "second"))
        assert only_first - only_second == one - other
    differing = sum(int(shown[f"all films.{which}"]) for which in ("first", "second"))
    assert f"of {differing}</span>" in page
    assert page.count('alt="heat map of ') == 2 * min(differing, 12)


def test_a_run_that_is_not_there_is_named_with_those_that_are(listed, pneumonia):
    cwd, *_ = listed
    told = pneumonia(cwd, "runs", "--compare", "default.1", "nosuch")
    assert told.returncode == FAILED
    assert "no finished run 'nosuch'; there are: default.1, default.2" in told.stderr


def test_without_a_finished_run_it_says_how_to_start_one(tmp_path, pneumonia, listed):
    cwd, *_ = listed
    assert pneumonia(tmp_path, "runs").returncode == FAILED
    broken = tmp_path / "runs/default"
    broken.mkdir(parents=True)
    shutil.copy(cwd / "runs/default/metadata.db", broken)
    told = pneumonia(tmp_path, "runs")  # its artifacts lie elsewhere, and are read from there
    assert "default.1" in told.stdout


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_the_page_loads_nothing_fits_and_can_be_read_by_everyone(listed, viewport, scheme):
    cwd, *_ = listed
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True)
        page, asked, complaints = context.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.goto((cwd / "runs/runs.html").absolute().as_uri())
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        faults = Axe().run(page).response["violations"]
        browser.close()
    assert [(fault["id"], fault["nodes"][0]["html"][:120]) for fault in faults] == []
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
