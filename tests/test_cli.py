"""The command line in strange surroundings: other encodings, other people's modules."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.components.ingest.xray_sets import both_classes, write

ROOT = Path(__file__).resolve().parent.parent


def _started(
    cwd: Path, *words: str, path: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    paths = os.pathsep.join(str(one) for one in (path, ROOT) if one)
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": paths, **variables},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "cp1252", "utf-8", "ascii:strict"])
def test_what_a_terminal_cannot_show_is_replaced(tmp_path, encoding):
    names = {f"{folder.parent}/胸 é {folder.name}": data for folder, data in _films()}
    write(tmp_path / "x-rays ü 肺", names | {"NORMAL/\udcff.txt": b"no film"})
    words = ("-m", "cli", "data", "check", "x-rays ü 肺")
    ended = _started(tmp_path, *words, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert ended.returncode == 0, ended.stderr
    assert b"NORMAL" in ended.stdout
    assert b"Traceback" not in ended.stderr
    refused = _started(tmp_path, *words[:-1], "肺", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1


def _films():
    return [(Path(name), data) for name, data in both_classes(4).items()]


@pytest.mark.parametrize("kind", ["module", "package", "folder"])
def test_other_peoples_modules_of_our_names_are_passed_over(tmp_path, kind):
    for name in ("client", "components", "pipeline", "serving"):
        if kind == "module":
            (tmp_path / f"{name}.py").write_text("raise RuntimeError('another project')")
        else:
            (tmp_path / name).mkdir()
            init = tmp_path / name / ("__init__.py" if kind == "package" else "other.txt")
            init.write_text("raise RuntimeError('another project')")
    for words in (("report",), ("predict", "nothing.png"), ("data", "check", "nowhere")):
        told = _started(tmp_path, "-m", "cli", *words, path=tmp_path)
        assert len(told.stderr.splitlines()) == 1, told.stderr
        assert told.stderr.startswith(f"pneumonia {words[0]}".encode())
    child = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'serving', '--help'])"
    code = f"import cli\ntry: cli.main([])\nfinally:\n {child}"
    assert b"--model_base_path" in _started(tmp_path, "-c", code, path=tmp_path).stdout
