"""The pipeline from image files to the serving folder, at 64 pixels with a thin VGG."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.runs import lineage
from tests.e2e.conftest import (
    ANY_MODEL,
    DONE,
    FINISHED,
    NO_FLOORS,
    NO_REPORT,
    REFUSED,
    ROOT,
    TINY,
    settings,
)

FAILED, USAGE = 1, 2


def _versions(cwd):
    return sorted(path.name for path in (cwd / "runs/default/serving/pneumonia").glob("[0-9]*"))


def test_a_run_pushes_one_version_and_prints_each_bound(finished):
    cwd, ended = finished
    assert len(_versions(cwd)) == 1
    for bound in ("recall", "precision"):
        assert bound in ended.stdout
    assert not list((cwd / "runs/default/serving/pneumonia").glob(".*tmp*"))


def test_the_int8_form_is_pushed_where_it_decides_as_the_model_does(finished):
    cwd, _ = finished
    (found,) = (cwd / "runs/default/artifacts").rglob("int8.json")
    proof = json.loads(found.read_text())
    assert proof["films"] > 0
    (version,) = _versions(cwd)
    pushed = cwd / "runs/default/serving/pneumonia" / version / "assets.extra/int8"
    assert (pushed / "int8.json").read_bytes() == found.read_bytes()
    assert (pushed / "network.xml").exists() == (not proof["faults"])
    reports = (cwd / "runs/default/artifacts/Reporter/report").glob("*/report.html")
    page = min(reports, key=lambda path: int(path.parent.name)).read_text("utf-8")
    assert "the int8 form" in page
    assert ("there is no int8 form of the model" in page) == bool(proof["faults"])


def test_an_identical_second_run_is_all_cache_and_pushes_nothing(finished, films, pneumonia):
    cwd, _ = finished
    before = _versions(cwd)
    again = pneumonia(cwd, "run", "--data", str(films), *settings(*FINISHED))
    assert again.returncode == DONE, again.stdout + again.stderr
    assert _versions(cwd) == before
    steps = [line for line in again.stdout.splitlines() if "✓" in line]
    assert len(steps) >= 10
    ran = [line for line in steps if "cached" not in line and "Resolver" not in line]
    assert not ran


def test_a_model_below_the_floor_is_refused_and_what_is_served_stays(finished, refused):
    cwd, ended = refused
    assert ended.returncode == REFUSED
    (version,) = _versions(cwd)
    assert f"pushed: version {version} " in finished[1].stdout


def test_a_missing_class_stops_the_run_in_one_clear_line(tmp_path, films, pneumonia):
    lame = tmp_path / "xrays"
    shutil.copytree(films, lame)
    for folder in lame.rglob("PNEUMONIA"):
        shutil.rmtree(folder)
    stopped = pneumonia(tmp_path, "run", "--data", str(lame), *settings(*TINY))
    assert stopped.returncode == FAILED
    assert "PNEUMONIA" in stopped.stderr
    assert "Traceback" not in stopped.stdout + stopped.stderr
    assert not _versions(tmp_path)


@pytest.mark.slow
def test_a_model_that_looks_beside_the_lungs_is_refused_with_pictures(any_run, films, pneumonia):
    cwd, _ = any_run
    asked = ("gate.counterfactual_films=8", "gate.letters=0", "gate.outside=0")
    words = settings(*ANY_MODEL, *asked, "gate.heat_in_lungs=1")
    before = _versions(cwd)
    refused = pneumonia(cwd, "run", "--data", str(films), *words)
    assert refused.returncode == REFUSED, refused.stdout + refused.stderr
    assert "heat in lungs" in refused.stdout
    assert _versions(cwd) == before
    told = json.loads(pneumonia(cwd, "report", "--json").stdout)
    broken = {b["figure"]["name"] for b in told["evaluation"]["bounds"] if not b["ok"]}
    assert "heat_in_lungs" in broken
    pictures = told["counterfactuals"]["pictures"]
    assert pictures
    assert all((cwd / shown[side]).is_file() for shown in pictures for side in ("left", "right"))
    page = (cwd / "runs/default/report.html").read_text(encoding="utf-8")
    gave_away = page[page.index("Films that gave it away") : page.index('id="robustness"')]
    assert gave_away.count("data:image/jpeg") == 2 * len(pictures)


@pytest.mark.slow
@pytest.mark.xrays
def test_the_obvious_recipe_on_real_films_is_refused(tmp_path, xrays, pneumonia):
    """The whole film, as it is, no changed versions: what most would train first."""
    obvious = (
        *("image.contrast=none", "model.evidence=film", "data.limit_per_class=160"),
        *("data.test_fraction=0.2", "train.epochs=4"),
    )
    floors = ("gate.recall=0", "gate.recall_lower_bound=0", "gate.precision=0")
    words = settings(*TINY, *NO_REPORT, *obvious, *floors, "gate.counterfactual_films=40")
    refused = pneumonia(tmp_path, "run", "--data", str(xrays / "kermany224"), *words)
    assert refused.returncode == REFUSED, refused.stdout + refused.stderr
    assert not _versions(tmp_path)
    told = json.loads(pneumonia(tmp_path, "report", "--json").stdout)
    broken = {b["figure"]["name"] for b in told["evaluation"]["bounds"] if not b["ok"]}
    assert {"changed_by_outside", "heat_in_lungs"} <= broken
    assert {shown["kind"] for shown in told["counterfactuals"]["pictures"]} >= {"outside", "heat"}


@pytest.mark.slow
def test_edited_training_reruns_the_trainer_and_what_follows_only(
    any_run, sources, films, pneumonia
):
    cwd, _ = any_run
    words = ["run", "--data", str(films), *settings(*ANY_MODEL)]
    with (sources / "components" / "trainer" / "run.py").open("a") as file:
        file.write("# edited\n")
    again = pneumonia(cwd, *words, sources=sources)
    assert again.returncode == DONE, again.stdout + again.stderr
    steps = dict(line.split()[1:3] for line in again.stdout.splitlines() if "✓" in line)
    before = list(steps)[: list(steps).index("Trainer")]
    before.remove("DataResolver")  # a resolver looks each time; what it finds is the same
    assert {steps[step] for step in before} == {"cached"}
    assert "cached" not in {steps["Trainer"], steps["Evaluator"], steps["AtomicPusher"]}


@pytest.mark.slow
def test_a_loss_of_films_since_the_last_run_stops_the_next(tmp_path, any_run, films, pneumonia):
    cwd, _ = any_run
    xrays = tmp_path / "xrays"
    shutil.copytree(films, xrays)
    words = ["run", "--data", str(xrays), *settings(*ANY_MODEL)]
    gone = sorted((xrays / "train").rglob("*.*"))
    for path in gone[: len(gone) * 2 // 3]:
        path.unlink()
    stopped = pneumonia(cwd, *words)
    assert stopped.returncode == FAILED
    said = " ".join(stopped.stderr.split())
    assert "the split 'train' lost more than 50% of the last run's films" in said
    next((xrays / "train").rglob("*.*")).unlink()
    assert pneumonia(cwd, *words).returncode == FAILED, "refused data are no measure"
    assert pneumonia(cwd, *words, *settings("shift.stop_loss=1")).returncode == DONE


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--data", "nowhere"), "nowhere"),
        (("--data", ".", "--set", "train.epoch=3"), "train.epoch"),
        (("--data", ".", "--config", "missing.yaml"), "missing.yaml"),
    ],
)
def test_bad_usage_is_told_at_once_and_leaves_nothing(tmp_path, pneumonia, words, names):
    told = pneumonia(tmp_path, "run", *words)
    assert told.returncode == USAGE
    assert names in told.stderr
    assert len(told.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_is_finished_by_the_next(tmp_path, films, pneumonia):
    words = ["run", "--data", str(films), *settings(*ANY_MODEL)]
    for step in ("XrayExampleGen", "Transform", "Trainer", "AtomicPusher"):
        killed = subprocess.Popen(
            [sys.executable, "-m", "cli", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert any(line.strip() == step for line in killed.stdout)
        time.sleep(0.3)
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
        killed.stdout.close()
    ended = pneumonia(tmp_path, *words)
    assert ended.returncode == DONE, ended.stdout + ended.stderr
    assert len(_versions(tmp_path)) == 1
    folder = tmp_path / "runs/default"
    done = {
        str(execution.id)
        for execution in lineage.open_store(folder / "metadata.db").get_executions()
        if execution.last_known_state == mlmd.Execution.COMPLETE
    }
    assert {path.name for path in folder.glob("artifacts/*/*/[0-9]*")} <= done


@pytest.mark.slow
def test_a_retraining_goes_on_from_a_version_and_takes_its_features(
    tmp_path, finished, films, pneumonia
):
    cwd = tmp_path / "cwd"
    shutil.copytree(finished[0], cwd, symlinks=True)
    xrays = tmp_path / "xrays"
    shutil.copytree(films, xrays)
    made = pneumonia(tmp_path, "data", "synthesize", "more", "--images", "20", "--seed", "5")
    assert made.returncode == DONE, made.stderr
    films_of = {".jpeg", ".png"}
    for film in [path for path in (tmp_path / "more").rglob("*.*") if path.suffix in films_of]:
        target = xrays / film.relative_to(tmp_path / "more")
        film.rename(target.with_name(f"new-{film.name}"))
    words = ("run", "--data", str(xrays), *settings(*ANY_MODEL))

    unknown = pneumonia(cwd, *words, "--since", "7")
    assert unknown.returncode == FAILED
    assert "no version 7; there are: " in " ".join(unknown.stderr.split())

    (version,) = _versions(cwd)
    ended = pneumonia(cwd, *words, "--since", version)
    assert ended.returncode == DONE, ended.stdout + ended.stderr
    assert "20 films joined as span 1" in ended.stdout
    assert re.search(r"features of train: 100%.* 1\d/1\d ", ended.stderr)
    steps = lineage.latest_steps(cwd / "runs/default/metadata.db")
    assert steps["XrayExampleGen"].outputs["examples"].properties["span"] == 1
    _, newest = sorted((cwd / "runs/default/serving/pneumonia").glob("[0-9]*"))
    assert "trained on from model" in (newest / "assets.extra/model_card.md").read_text()


@pytest.mark.slow
def test_recalibrating_pushes_a_version_that_says_so(tmp_path, finished, films, pneumonia):
    cwd, _ = finished
    serving = tmp_path / "serving"
    shutil.copytree(cwd / "runs/default/serving/pneumonia", serving)
    (trained,) = serving.glob("[0-9]*")
    words = ("recalibrate", "--data", str(films), "--serving-dir", str(serving))
    ended = pneumonia(tmp_path, *words, *settings(*NO_FLOORS, *TINY[-3:]))
    assert ended.returncode == DONE, ended.stdout + ended.stderr
    assert "before" in ended.stdout
    _, local = sorted(serving.glob("[0-9]*"), key=lambda path: int(path.name))
    assert "Recalibration" in (local / "assets.extra/model_card.md").read_text()
    assert "Recalibration" not in (trained / "assets.extra/model_card.md").read_text()
    (report,) = tmp_path.glob("runs/*/report.html")
    assert "before the recalibration" in report.read_text(encoding="utf-8")
    perfect = ("gate.recall=1", "gate.precision=1", "gate.recall_lower_bound=0")
    refused = pneumonia(tmp_path, *words, *settings(*perfect, *NO_REPORT))
    assert refused.returncode == REFUSED, refused.stdout + refused.stderr
    assert len(list(serving.glob("[0-9]*"))) == 2
