"""The house's rules: arrows one way, no import circle, light commands, cache keys of a step's own.

What runs inside a step stands in `components`; `pipeline` decides which steps run, where, and tells
people about a run.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.code_version import sources

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("client", "components", "kubeflow", "pipeline", "serving")
MAY_IMPORT = {
    "client": {"client"},
    "serving": {"serving"},
    "components": {"components", "client"},
    "pipeline": {"pipeline", "components", "client"},
    "kubeflow": {"kubeflow", "pipeline", "components", "client"},
}
# `pneumonia serve` offers the server's own flags; a request log is the same whoever writes it.
EXCEPTIONS = {
    ("pipeline.commands.serve", "serving.flags"),
    ("pipeline.commands.serve", "serving"),
    ("serving.request_logging", "client.request_log.record"),
    ("serving.request_logging", "client.request_log.writer"),
    ("serving.server", "client.request_log.writer"),
}
STARTED_AS_A_PROCESS = {"serving"}  # `python -m serving` is a process, not an import


def _modules() -> dict[str, Path]:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in files
    }


MODULES = _modules()
_IMPORT_PATH = re.compile(rf"({'|'.join(PACKAGES)})(\.\w+)+")


def _imports(path: Path, top_level_only: bool) -> set[str]:
    """The project's modules that a file imports; a package only where a name comes out of it."""
    tree = ast.parse(path.read_text())
    names: set[str] = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= inside & MODULES.keys()
            if inside - MODULES.keys():
                names.add(node.module)
    return names & MODULES.keys()


def _import_paths(path: Path) -> set[str]:
    """The project's modules that a file names in its strings, as `run_fn` names a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            if _IMPORT_PATH.fullmatch(text):
                found |= {text, text.rpartition(".")[0]} & MODULES.keys()
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_lies_below_it(package):
    strangers = {
        (name, imported)
        for name, path in MODULES.items()
        if name.split(".")[0] == package
        for imported in _imports(path, top_level_only=False) | _import_paths(path)
        if imported.split(".")[0] not in MAY_IMPORT[package]
    }
    started = {pair for pair in strangers if pair[1].split(".")[0] in STARTED_AS_A_PROCESS}
    assert strangers - started <= EXCEPTIONS
    assert {pair for pair in started if pair[0].split(".")[0] != "pipeline"} == set()


def test_only_what_tfx_wants_by_name_is_named_in_strings():
    """TFX takes Trainer's, Tuner's and Transform's functions, TFMA a metric, as import paths."""
    wanted = {"components.trainer.run", "components.trainer.tune", "components.transform"}
    named = {
        str(node.value).rpartition(".")[0]
        for name in ("pipeline.config", "pipeline.pipeline", "pipeline.steps")
        for node in ast.walk(ast.parse(MODULES[name].read_text()))
        if isinstance(node, ast.Constant) and str(node.value).endswith("_fn")
        if "." in str(node.value)
    }
    assert named == wanted


def test_there_is_no_import_circle():
    graph = {name: _imports(path, top_level_only=True) for name, path in MODULES.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for target in graph[name]:
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


STEPS = {
    "ingest": "components.ingest.component",
    "Transform": "components.transform",
    "Augmenter": "components.augmenter.component",
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "other", ["components/evaluator", "components/trainer", "components/model", "pipeline"]
)
def test_an_edit_of_another_step_changes_no_cache_key(step, other):
    """A changed bound of the gate, or a comment in the trainer, must not read a million films."""
    folder = ROOT / other
    assert not [path for path in sources(STEPS[step]).values() if path.is_relative_to(folder)]


@pytest.mark.parametrize(
    "statement", ["import client", "import cli; cli.main(['predict', '--help'])"]
)
def test_client_and_command_line_do_not_load_tensorflow(statement):
    code = (
        f"import sys\ntry:\n    {statement}\nexcept SystemExit:\n    pass\n"
        "print('tensorflow' in sys.modules, file=sys.stderr)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stderr.strip().splitlines()[-1] == "False"
