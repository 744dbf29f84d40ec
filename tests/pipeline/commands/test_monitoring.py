"""Drift, outcomes and audit as commands, on a log and a version that no training made."""

import argparse
import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import cli
from client.exit_codes import DONE, DRIFTED, FAILED, REFUSED, USAGE
from client.request_log import outcomes, reader, tfrecord
from client.request_log.outcomes import Outcome
from client.request_log.record import Record, digest, encode
from client.request_log.writer import SUFFIX
from components.monitoring import reference
from components.pusher import versions
from pipeline.commands.monitored import Watched
from pipeline.runs import lineage
from pipeline.runs.lineage import ExecutedStep, Output, PipelineRun
from tests.components.monitoring.samples import draw
from tests.serving import tiny_model

VERSION = 1_700_000_000


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a version, and a log of 200 films alike, then 100 of another look."""
    monkeypatch.chdir(tmp_path)
    extra = Path("models", str(VERSION), "assets.extra")
    extra.mkdir(parents=True)
    (extra.parent / "saved_model.pb").write_bytes(b"")
    summary = {
        "operating_point": {"sensitivity": 0.97},
        "val": {"NORMAL": 400, "PNEUMONIA": 400},
        "validation": {"logits": {"NORMAL": [-1.0], "PNEUMONIA": [1.0]}},
    }
    (extra / "training.json").write_text(json.dumps(summary))
    parts = [draw(200, 1), draw(100, 2, look=0.5, sick=0.7)]
    Path("log").mkdir()
    labels: dict[str, int] = {}
    with Path("log", f"a-1{SUFFIX}").open("wb") as file:
        for part, truth in parts:
            for place in range(len(part)):
                film = digest(part.hashes[place])
                labels[film] = int(truth[place])
                file.write(tfrecord.framed(encode(_record(part, place, film, len(labels)))))
    Path("labels.json").write_text(json.dumps(labels))
    Path("films").mkdir()
    Path("films", "grey.png").write_bytes(tiny_model.png(90))
    return tmp_path


def _record(part, place: int, film: str, number: int, version: int = VERSION) -> Record:
    return Record(
        time=1_700_000_000 + 60 * number,
        model="pneumonia",
        version=version,
        signature="predict_image",
        hashes=[film],
        outputs={
            "probability": np.float32([part.probability[place]]),
            "label": np.int64([part.called[place]]),
            "quality": np.float32([part.quality[place]]),
            "familiarity": np.float32([part.familiarity[place]]),
            "features": part.features[place : place + 1],
        },
        latency=0.1,
    )


WHERE = ("--log", "log", "--serving-dir", "models")


def test_other_films_are_found_and_shown(watched: Path, capsys) -> None:
    words = ("drift", *WHERE, "--baseline", "100", "--window", "100", "--metrics", "drift.prom")
    assert cli.main(words) == DRIFTED
    said = capsys.readouterr().out
    assert "drifted: 1 of 2 windows unlike the log's first 100 films" in said
    assert "films 101 to 200 (" in said
    page = Path("log/drift.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("✗ unlike") == 1
    assert "divergence in bits" in page
    assert "pneumonia_drifted_windows 1\n" in Path("drift.prom").read_text()


def test_films_alike_are_said_to_be(watched: Path, capsys) -> None:
    content = Path("log", f"a-1{SUFFIX}").read_bytes()
    Path("log", f"a-1{SUFFIX}").write_bytes(content[: len(content) * 2 // 3])  # torn, too
    assert cli.main(("drift", *WHERE, "--baseline", "100", "--window", "week")) == DONE
    assert capsys.readouterr().out.startswith("alike: 1 windows")


def test_outcomes_below_the_bound_are_refused(watched: Path, capsys) -> None:
    labels = json.loads(Path("labels.json").read_text())
    rows = [f"{film},{'PNEUMONIA' if label else 'NORMAL'}" for film, label in labels.items()]
    Path("all.csv").write_text("\n".join(["film,diagnosis", *rows, f"{'f' * 64},NORMAL"]))
    assert cli.main(("audit", *WHERE, "--bound", "0.9")) == DONE
    assert cli.main(("outcomes", "add", "all.csv", "--log", "log")) == DONE
    assert "301 outcomes added, 300 of films in the log" in capsys.readouterr().out
    assert cli.main(("audit", *WHERE, "--bound", "0.5", "--metrics", "audit.prom")) == DONE
    assert "kept: recall is what the gate asked for" in capsys.readouterr().out
    assert "pneumonia_audit_failed 0\n" in Path("audit.prom").read_text()
    wrong = [f"{film},PNEUMONIA" for film in labels]
    Path("wrong.csv").write_text("\n".join(["film,diagnosis", *wrong]))
    assert cli.main(("outcomes", "add", "wrong.csv", "--log", "log")) == DONE
    assert cli.main(("audit", *WHERE, "--bound", "0.9")) == REFUSED
    assert "below: recall's lower bound" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("drift", *WHERE), USAGE, "give --films or --baseline"),
        (("drift", *WHERE, "--baseline", "290"), FAILED, "10 to compare are too few"),
        (("drift", "--log", "nothing", "--serving-dir", "models"), FAILED, "holds no request log"),
        (("drift", "--log", "log", "--serving-dir", "nothing"), USAGE, "holds no version yet"),
        (("audit", *WHERE), USAGE, "no run says the gate's bound; give --bound"),
        (("shadow", "--candidate", "7", *WHERE), USAGE, f"there is: {VERSION}"),
        (("shadow", "--candidate", str(VERSION), *WHERE), USAGE, "holds no pixels"),
        (("drift", *WHERE, "--films", "films"), FAILED, f"models/{VERSION}: cannot be loaded"),
        (
            ("shadow", "--candidate", str(VERSION), *WHERE, "--films", "films"),
            FAILED,
            f"models/{VERSION}: cannot be loaded",
        ),
        (
            ("recalibrate", "--unlabelled", "films", "--serving-dir", "models"),
            FAILED,
            f"models/{VERSION}: cannot be loaded",
        ),
        (("outcomes", "add", "none.csv", "--log", "log"), USAGE, "none.csv: cannot be read"),
        (
            ("promote", "--version", "7", "--serving-dir", "models", "--shadowed"),
            USAGE,
            "no version 7",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    watched: Path, capsys, words: tuple[str, ...], code: int, said: str
) -> None:
    assert cli.main(words) == code
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line


@pytest.mark.parametrize(
    "words",
    [("drift", "--baseline", "100"), ("shadow", "--candidate", str(VERSION), "--films", "films")],
)
def test_outcomes_that_cannot_be_read_are_said_in_one_line(watched, capsys, words) -> None:
    Path("log", outcomes.FILE).mkdir()
    assert cli.main((*words, *WHERE)) == FAILED
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert outcomes.FILE in line


def _run_of(model: str, films: str) -> PipelineRun:
    def step(name: str, key: str, uri: str) -> ExecutedStep:
        return ExecutedStep(name, False, True, {key: Output(Path(uri), "any", {})}, {})

    steps = [step("Trainer", "model", model), step("XrayExampleGen", "examples", films)]
    return PipelineRun(datetime.now(UTC), {one.component: one for one in steps})


@pytest.fixture
def pushed(watched: Path) -> str:
    """The run `mine`, which pushed the version; gives the URI of the model."""
    serving = Path("runs/mine/serving/pneumonia")
    serving.parent.mkdir(parents=True)
    shutil.move("models", serving)
    Path("runs/mine/metadata.db").write_text("not a database")
    model = versions.PublishedModel("Trainer/model/1", "a" * 64)
    record = {"model": vars(model), "baseline": None, "promoted_from": None}
    (serving / str(VERSION) / versions.RECORD).write_text(json.dumps(record))
    return model.uri


def test_the_reference_is_of_the_run_that_made_the_served_version(
    pushed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for films, split in (("1", "val"), ("1", "test"), ("2", "val"), ("2", "test")):
        Path("examples", films, f"Split-{split}").mkdir(parents=True)
    runs = [_run_of("Trainer/model/2", "examples/2"), _run_of(pushed, "examples/1")]
    monkeypatch.setattr(lineage, "pipeline_runs", lambda database: iter(runs))
    asked: list[tuple[str, str]] = []

    def of_splits(version: Path, splits: list[Path], kept: Path):
        asked.extend((str(split.parent), kept.name) for split in splits)
        return list(reader.read(Path("log")))

    monkeypatch.setattr(reference, "of_splits", of_splits)
    cli.main(("drift", "--log", "log", "--run", "mine"))
    assert asked == 2 * [("examples/1", "reference-aaaaaaaa-1.kept")]
    runs.pop()
    assert cli.main(("drift", "--log", "log", "--run", "mine")) == USAGE


@pytest.mark.usefixtures("pushed")
def test_a_damaged_run_is_said_in_one_line(capsys) -> None:
    assert cli.main(("drift", "--log", "log", "--run", "mine")) == FAILED
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "metadata.db is damaged" in line


def test_a_recalibrated_version_is_expected_to_be_as_good_as_on_the_local_films(watched) -> None:
    path = Path("models", str(VERSION), "assets.extra/training.json")
    local = {"fitted_on": {"NORMAL": 30, "PNEUMONIA": 20}}
    values = {"operating_point": {"sensitivity": 1.0}, "val": {"PNEUMONIA": 400}}
    path.write_text(json.dumps({**values, "recalibration": local}))
    args = argparse.Namespace(serving_dir=Path("models"), run=None)
    assert Watched(args).expectation(0.9).recall == pytest.approx(21 / 22)


def test_an_outcome_of_another_versions_film_is_of_a_film_in_the_log(watched, capsys) -> None:
    part, _ = draw(1, 3)
    with Path("log", f"b-1{SUFFIX}").open("wb") as file:
        file.write(tfrecord.framed(encode(_record(part, 0, digest("old"), 1, VERSION - 1))))
    outcomes.add(Path("log"), [Outcome(digest("old"), 0), Outcome(digest("nowhere"), 0)])
    assert cli.main(("audit", *WHERE, "--bound", "0.5")) == DONE
    assert re.search(r"films that are not in the log +│ 1 ", capsys.readouterr().out)


def test_a_shadow_takes_outcomes_by_sop_instance_uid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, bias in ((1, 0.0), (2, 0.2)):  # 2 is served, and calls greys of 77 to 127 sick, too
        tiny_model.export(Path("models", str(number)), bias)
    Path("log").mkdir()
    films = {f"1.2.{grey}": tiny_model.png(grey) for grey in (140, *range(80, 120))}
    with Path("log", f"a-1{SUFFIX}").open("wb") as file:
        for uid, film in films.items():
            record = Record(
                *(0.0, "pneumonia", 2, "predict_image", [digest(film)], {}, 0.1),
                instance=digest(uid),
                pixels=[film],
            )
            file.write(tfrecord.framed(encode(record)))
    command = ("shadow", "--candidate", "1", *WHERE)
    assert cli.main(command) == REFUSED  # for all that is known, it misses what the other finds
    sick, *healthy = films
    rows = ["film,diagnosis", f"{sick},PNEUMONIA", *(f"{uid},NORMAL" for uid in healthy)]
    Path("known.csv").write_text("\n".join(rows))
    assert cli.main(("outcomes", "add", "known.csv", "--log", "log")) == DONE
    assert cli.main(command) == DONE  # both find the sick one
