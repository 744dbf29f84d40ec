"""The alarms are what Prometheus understands and what the servers and commands really tell."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.serving import tiny_model

FOLDER = Path(__file__).resolve().parents[2] / "serving" / "monitoring"
DOCUMENT = FOLDER.parents[1] / "docs" / "after-the-push.md"
COMMANDS = FOLDER.parents[1] / "pipeline" / "commands"
RULES = (FOLDER / "rules.yml").read_text()


@pytest.mark.parametrize("words", ["check rules rules.yml", "test rules rules_test.yml"])
def test_promtool_takes_the_rules_and_they_alarm_when_they_should(words: str) -> None:
    if not shutil.which("promtool"):
        pytest.skip("no promtool; `apt-get install prometheus` brings it")
    done = subprocess.run(["promtool", *words.split()], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_series_of_rules_and_dashboard_is_told_by_somebody(start, exported: Path) -> None:
    server = start(f"--model_base_path={exported}", "--model_name=pneumonia")
    server.predict([tiny_model.png(51)])
    page = server.server._metrics.page().decode()
    written = "".join((COMMANDS / name).read_text() for name in ("drift.py", "audit.py"))
    recorded = set(re.findall(r"record: (\S+)", RULES))
    asked = RULES + (FOLDER / "dashboard.json").read_text()
    for series in set(re.findall(r"\bpneumonia_[a-z0-9_]+", asked)):
        assert f'"{series}"' in written
    for series in set(re.findall(r":tensorflow:serving:[a-z_]+", asked)):
        assert series.removesuffix("_bucket") in page
    assert set(re.findall(r"\bpneumonia:[a-z0-9:_]+", asked)) == recorded


def test_grafana_reads_the_dashboard_as_it_is_written() -> None:
    written = json.loads((FOLDER / "dashboard.json").read_text())
    read = json.loads(
        json.dumps(Dashboard.from_json(written), default=lambda value: value.to_json())
    )
    for key in ("title", "uid", "schemaVersion", "time", "refresh"):
        assert read[key] == written[key]
    assert len(read["panels"]) == len(written["panels"])
    for mine, theirs in zip(written["panels"], read["panels"], strict=True):
        for key in ("type", "title", "gridPos", "datasource"):
            assert theirs[key] == mine[key]
        assert [target["expr"] for target in theirs["targets"]] == [
            target["expr"] for target in mine["targets"]
        ]


def test_the_playbook_has_a_row_for_every_alarm() -> None:
    alarms = re.findall(r"alert: (\w+)", RULES)
    assert alarms
    for alarm in alarms:
        assert f"| {alarm} |" in DOCUMENT.read_text()
