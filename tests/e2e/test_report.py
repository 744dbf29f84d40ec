"""The report of a small run: what it says is what TFMA measured, and it needs nothing else."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import tensorflow_model_analysis as tfma

from pipeline import lineage
from tests.e2e.conftest import REFUSED, TINY, settings

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
def refused(finished, films, pneumonia) -> Path:
    """The folder of a run whose second, refused model is compared with the first one."""
    cwd, _ = finished
    strict = ("gate.recall_lower_bound=1", "gate.max_recall_drop=1", "train.learning_rate=0.002")
    second = pneumonia(cwd, "run", "--data", str(films), *settings(*TINY, *strict))
    assert second.returncode == REFUSED, second.stdout + second.stderr
    assert "report: runs/default/report.html" in second.stdout
    return cwd / "runs/default"


@pytest.fixture(scope="module")
def page(refused) -> str:
    return (refused / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def evaluation(refused) -> str:
    steps = lineage.latest_steps(refused / "metadata.db")
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
    assert "recall lower bound" in page
    assert "✗ not ok" in page


def test_films_with_errors_are_shown_with_their_heat_maps(page):
    pictures = page.count('class="overlay"')
    assert 0 < pictures <= 24
    assert page.count('src="data:image/jpeg;base64,') == 2 * pictures


def test_the_command_brings_a_lost_report_back(refused, page, pneumonia):
    (refused / "report.html").unlink()
    told = pneumonia(refused.parents[1], "report")
    assert told.returncode == REFUSED
    assert "report: runs/default/report.html" in told.stdout
    assert (refused / "report.html").read_text(encoding="utf-8") == page


def test_a_run_without_a_report_says_what_to_do(refused, tmp_path, pneumonia):
    copy = tmp_path / "runs" / "default"
    shutil.copytree(refused, copy, ignore=shutil.ignore_patterns("artifacts", "cache"))
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
