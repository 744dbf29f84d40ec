"""A candidate is found worse where it misses more, and only where films are enough to tell."""

from pathlib import Path

import numpy as np
import pytest

from client.request_log.outcomes import Outcome
from client.request_log.record import digest
from components.monitoring import page, shadow
from components.monitoring.shadow import AgreementCounts, Shadow
from tests.serving import tiny_model

FILMS = [tiny_model.png(grey, side) for side in (16, 24) for grey in range(60, 180)]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1: probability = grey; 2: two tenths more, so that it calls more films sick."""
    base = tmp_path_factory.mktemp("versions")
    for number, bias in ((1, 0.0), (2, 0.2)):
        tiny_model.export(base / str(number), bias)
    return base


def test_films_on_which_they_differ_are_counted_and_shown(versions: Path, tmp_path: Path) -> None:
    found, differences = shadow.shadow(versions / "1", versions / "2", FILMS, {}, shown=5)
    assert found.films == len(FILMS)
    assert found.called.only_served == 0
    assert found.called.only_candidate == 2 * 51  # greys of 77 to 127
    assert found.called.p_value < 1e-9
    assert (found.is_worse, found.is_enough) == (False, True)
    assert len(differences) == 5
    page.write_shadow(found, differences, 1, 2, tmp_path / "shadow.html")
    text = (tmp_path / "shadow.html").read_text()
    assert text.count("data:image/jpeg") == 10
    assert "No worse" in text

    back, _ = shadow.shadow(versions / "2", versions / "1", FILMS, {}, shown=0)
    assert back.is_worse
    # Those films were healthy: it rightly calls fewer sick.
    known = {digest(film): Outcome(digest(film), 0) for film in FILMS}
    healthy, _ = shadow.shadow(versions / "2", versions / "1", FILMS, known, shown=0)
    assert healthy.missed is None
    assert healthy.false_alarms
    assert healthy.false_alarms.only_served == 102
    sick = {digest(film): Outcome(digest(film), 1) for film in FILMS}
    missing, _ = shadow.shadow(versions / "2", versions / "1", FILMS, sick, shown=0)
    assert missing.missed
    assert missing.missed.only_candidate == 102
    assert missing.is_worse


def test_what_was_found_is_kept_for_a_promotion(tmp_path: Path) -> None:
    called = AgreementCounts.of(np.array([True] * 120), np.array([True] * 119 + [False]))
    found = Shadow(films=120, called=called, missed=None, false_alarms=None)
    assert shadow.kept(tmp_path, "a" * 64, "b" * 64) is None
    shadow.keep(found, tmp_path, "a" * 64, "b" * 64)
    assert shadow.kept(tmp_path, "a" * 64, "b" * 64) == found
    assert shadow.kept(tmp_path, "b" * 64, "a" * 64) is None
    assert not found.is_worse


def test_few_films_prove_nothing() -> None:
    called = AgreementCounts.of(np.array([True] * 20), np.array([True] * 19 + [False]))
    assert not Shadow(20, called, None, None).is_enough
    assert called.p_value == 1
