"""Outcomes tell whether recall is what the gate asked for, and by how much they may be believed."""

from pathlib import Path

import numpy as np
import pytest

from client.request_log import outcomes
from client.request_log.outcomes import Outcome, OutcomesError
from client.request_log.record import digest
from components.monitoring import audit, cusum, estimate
from components.monitoring.audit import Expectation
from components.statistics import wilson
from tests.components.monitoring.samples import draw

GATE = Expectation(recall=0.97, bound=0.93)


def known(part, labels) -> dict[str, Outcome]:
    return {
        film: Outcome(film, int(label)) for film, label in zip(part.hashes, labels, strict=True)
    }


def test_a_model_as_good_as_before_keeps_the_bound() -> None:
    part, labels = draw(800, 1)
    found = audit.audit(part, known(part, labels), GATE)
    assert found.recall == found.hits / (found.hits + found.misses)
    assert found.recall_interval == wilson(found.hits, found.sick)
    assert found.is_told
    assert not found.is_below
    assert not found.is_alarmed
    assert found.corrected == pytest.approx(found.recall)


def test_a_model_that_misses_more_is_below_and_alarms() -> None:
    part, labels = draw(800, 2, worse=2.0)
    found = audit.audit(part, known(part, labels), GATE)
    assert found.is_below
    assert found.is_alarmed


def test_few_outcomes_leave_it_open() -> None:
    part, labels = draw(40, 3)
    found = audit.audit(part, known(part, labels), GATE)
    assert not found.is_told
    assert not found.is_below
    assert 200 < found.needed < 600


def test_outcomes_of_positives_alone_are_said_to_be_so() -> None:
    part, labels = draw(400, 4, worse=2.0)
    every = known(part, labels)
    followed = {
        film: every[film]
        for place, film in enumerate(part.hashes)
        if part.called[place] or place % 4 == 0
    }
    found = audit.audit(part, followed, GATE)
    whole = audit.audit(part, every, GATE)
    assert found.followed[0] == 1
    assert 0.2 < found.followed[1] < 0.3
    assert found.recall > whole.recall + 0.03
    assert abs(found.corrected - whole.recall) < abs(found.recall - whole.recall)


@pytest.mark.parametrize("expected", [0.001, 0.01, 0.03, 0.05, 0.1, 0.4])
def test_a_charts_run_length_is_what_it_says(expected: float) -> None:
    chart = cusum.chart(expected)
    assert chart.run_length >= cusum.RUN_LENGTH
    assert chart.run_length_worse < chart.run_length / 2
    if expected != 0.03:
        return
    random = np.random.default_rng(0)
    lengths = []
    for _ in range(300):
        path = np.array(chart.path(random.random(8000) < expected))
        lengths.append(np.argmax(path >= chart.limit) if (path >= chart.limit).any() else 8000)
    assert np.mean(lengths) == pytest.approx(chart.run_length, rel=0.2)


def test_calibrated_probabilities_tell_recall_but_not_that_a_model_is_wrong_and_sure() -> None:
    random = np.random.default_rng(0)
    part, _ = draw(1000, 5)
    labels = random.random(1000) < part.probability  # calibrated by construction
    found = estimate.estimate(part)
    true = (part.called & labels).sum() / labels.sum()
    assert found.recall_interval[0] <= true <= found.recall_interval[1]
    assert found.sick == pytest.approx(labels.mean(), abs=0.03)
    other = ~part.called  # every decision wrong: the estimate cannot see it
    assert estimate.estimate(part).recall > 0.9 > (part.called & other).sum() / other.sum()


def test_outcomes_are_added_whole_or_not_at_all(tmp_path: Path) -> None:
    table = tmp_path / "outcomes.csv"
    film, uid = digest("a"), "1.2.840.10008.1"
    table.write_text(f"film,diagnosis,note\n{film.upper()},pneumonia,x\n{uid},NORMAL,\n")
    outcomes.add(tmp_path, outcomes.from_csv(table))
    outcomes.add(tmp_path, [Outcome(film, 0, outcomes.FROM_PAGE)])
    with (tmp_path / outcomes.FILE).open("a") as file:
        file.write('{"film": "torn')
    outcomes.add(tmp_path, [Outcome(digest("b"), 1)])
    found = outcomes.read(tmp_path)
    assert found == {
        film: Outcome(film, 0, outcomes.FROM_PAGE),
        digest(uid): Outcome(digest(uid), 0),
        digest("b"): Outcome(digest("b"), 1),  # the torn line hides none after it
    }
    assert uid not in (tmp_path / outcomes.FILE).read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("film\nx\n", "has no column diagnosis"),
        (f"film,diagnosis\n{digest('a')},NORMAL\n{digest('b')},maybe\n", ":3: diagnosis 'maybe'"),
        ("film,diagnosis\npatient 7,NORMAL\n", "'patient 7' is neither"),
        ("film,diagnosis\nx\n", "diagnosis '' must be"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "outcomes.csv").write_text(text)
    with pytest.raises(OutcomesError, match=words):
        outcomes.from_csv(tmp_path / "outcomes.csv")
