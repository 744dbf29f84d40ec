"""The documented examples run as they stand."""

import subprocess
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tests.client.conftest import jpeg

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "client"


def test_the_script_answers_a_folder(port, tmp_path):
    (tmp_path / "bright.jpg").write_bytes(jpeg(200))
    (tmp_path / "notes.txt").write_text("no X-ray")
    command = [sys.executable, EXAMPLES / "ask_many.py", tmp_path, f"127.0.0.1:{port}"]
    done = subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("bright.jpg: PNEUMONIA (0.78")
    assert second.startswith("notes.txt: not answered: neither JPEG")
    assert len((EXAMPLES / "ask_many.py").read_text().splitlines()) <= 20


def test_the_notebook_runs_and_draws_a_heat_map(port, monkeypatch):
    monkeypatch.setenv("PNEUMONIA_SERVER", f"127.0.0.1:{port}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(EXAMPLES / "client.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any("neither JPEG" in output.get("text", "") for output in outputs)
