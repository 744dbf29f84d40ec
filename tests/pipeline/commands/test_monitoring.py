"""Drift, outcomes and audit as commands, on a log and a version that no training made."""

import json
from pathlib import Path

import numpy as np
import pytest

import cli
from client.exit_codes import DONE, DRIFTED, FAILED, REFUSED, USAGE
from client.request_log import tfrecord
from client.request_log.record import Record, digest, encode
from client.request_log.writer import SUFFIX
from tests.components.monitoring.samples import draw

VERSION = 1_700_000_000


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a version, and a log of 200 films alike, then 100 of another look."""
    monkeypatch.chdir(tmp_path)
    extra = Path("models", str(VERSION), "assets.extra")
    extra.mkdir(parents=True)
    (extra.parent / "saved_model.pb").write_bytes(b"")
    summary = {"operating_point": {"sensitivity": 0.97}, "val": {"NORMAL": 400, "PNEUMONIA": 400}}
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
