"""Fingerprints of the sources a step uses, so that edited code never meets a stale cache."""

import ast
import hashlib
from collections.abc import Iterable
from contextlib import suppress
from importlib.util import find_spec, resolve_name
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("client", "components", "pipeline", "serving")


def code_version(*modules: str, files: Iterable[Path] = ()) -> str:
    """Digests the named modules, all of this project that they import, and other files.

    TFX hashes only a `module_file` into its cache key; steps carry this value as an execution
    property instead. Comments count: the files' bytes are hashed. So do weights that lie beside a
    module under its name.

    Args:
        modules: dotted names.
        files: those that are no Python, such as templates.

    Returns:
        SHA-256, in hexadecimal.
    """
    contents = {module: path.read_bytes() for module, path in sources(*modules).items()}
    contents.update((path.name, path.read_bytes()) for path in files)
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(f"{name}\0{len(contents[name])}\0".encode() + contents[name])
    return digest.hexdigest()


def version_of(function: str) -> str:
    """Digests the module of a function given by its import path, as `code_version` does."""
    return code_version(function.rpartition(".")[0])


def fault(field: str, function: str) -> str | None:
    """Says what is wrong with the import path of a function; None where its module is found.

    Args:
        field: of the configuration, to be named.
        function: its import path; nothing is imported but the packages above its module.
    """
    module, _, name = function.rpartition(".")
    try:
        path = _path(module)
    except (ImportError, ValueError):
        path = None
    if path is None:
        return f"{field}: no module {module!r}; put its folder on PYTHONPATH"
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError) as error:
        return f"{field}: {path} is no valid Python: {error}"
    if name not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}:
        return f"{field}: {path} defines no function {name!r}"
    return None


def sources(*modules: str) -> dict[str, Path]:
    """Finds, by name, the files of the named modules and of all they import of this project.

    A module of another project brings what it imports of that project's package, too.
    """
    packages = {*_PACKAGES, *(module.split(".")[0] for module in modules)}
    found: dict[str, Path] = {}
    pending = list(modules)
    while pending:
        module = pending.pop()
        path = _path(module) if module.split(".")[0] in packages else None
        if path is None or module in found:
            continue
        found[module] = path
        if (weights := path.with_suffix(".npz")).is_file():
            found[weights.name] = weights
        pending.extend(_imports(path, module))
    return found


def _path(module: str) -> Path | None:
    package, *below = module.split(".")
    base = _home(package).joinpath(package, *below)
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _home(package: str) -> Path:
    """The folder that a top-level package or module lies in."""
    if package in _PACKAGES:
        return _ROOT
    spec = find_spec(package)
    if spec is None:
        return _ROOT
    first = next(iter(spec.submodule_search_locations or ()), spec.origin) or _ROOT
    return Path(first).parent


def _imports(path: Path, module: str) -> list[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            found.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A file that also runs as a script may try imports that lead out of every package.
            with suppress(ImportError):
                base = resolve_name("." * node.level + (node.module or ""), package)
                found.extend([base, *(f"{base}.{alias.name}" for alias in node.names)])
    return found
