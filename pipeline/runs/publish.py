"""Copies the newest run's report to the top of the run's folder."""

import shutil
from pathlib import Path

from components.files import replacing
from components.reporter.component import PAGE
from pipeline.runs import lineage
from pipeline.runs.folder import RunFolder


def publish(folder: RunFolder) -> Path:
    """Copies the newest run's page to `report.html`, whole or not at all; returns its path.

    Raises:
        FileNotFoundError: that run wrote none; the message says what to do.
    """
    step = lineage.latest_steps(folder.metadata).get("Reporter")
    page = step.outputs["report"].uri / PAGE if step and step.succeeded else None
    if page is None or not page.is_file():
        raise FileNotFoundError(
            f"{folder.root}: the newest run wrote no report; start it again, the rest is cached"
        )
    with page.open("rb") as source, replacing(folder.report) as target:
        shutil.copyfileobj(source, target)
    return folder.report
