"""TFMA's interactive views of a run, in the notebook that opens them."""

import nbformat
from nbclient import NotebookClient

from tests.e2e.conftest import ROOT

STATE = "application/vnd.jupyter.widget-state+json"


def test_the_notebook_opens_every_view_on_the_figures_of_the_runs(refused, monkeypatch):
    cwd, _ = refused
    monkeypatch.setenv("PNEUMONIA_RUN", str(cwd / "runs/default"))
    notebook = nbformat.read(ROOT / "docs" / "evaluation.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": ROOT / "docs"}}).execute()
    shown = [o["data"] for cell in notebook.cells for o in cell.get("outputs", []) if "data" in o]
    assert sum("<iframe" in data.get("text/html", "") for data in shown) == 4
    widgets = [w["state"] for w in notebook.metadata["widgets"][STATE]["state"].values()]
    views = {w["_view_name"]: w["data"] for w in widgets if "data" in w}
    assert set(views) == {"SlicingMetricsView", "PlotView", "TimeSeriesView"}
    assert views["PlotView"]["calibrationHistogramBuckets"]["buckets"]
    runs = views["TimeSeriesView"]
    assert len(runs) == 2
    for run in runs:
        assert 0 <= run["metrics"]["label"][""]["recall"]["doubleValue"] <= 1
