"""The house's rules: no import circle, the arrows of the design, light commands."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("client", "components", "kubeflow", "pipeline", "serving")
MAY_IMPORT = {
    "client": {"client"},
    "serving": {"serving"},
    "components": {"components", "client"},
    "pipeline": {"pipeline", "components", "client", "serving"},
    "kubeflow": {"kubeflow", "pipeline", "client"},
}


def _modules() -> dict[str, Path]:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in files
    }


MODULES = _modules()


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


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_the_design_allows(package):
    strangers = {
        (name, imported)
        for name, path in MODULES.items()
        if name.split(".")[0] == package
        for imported in _imports(path, top_level_only=False)
        if imported.split(".")[0] not in MAY_IMPORT[package]
    }
    assert not strangers


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
