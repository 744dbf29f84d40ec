import pytest

from pipeline import code_version as module
from pipeline.code_version import code_version


def _project(tmp_path, monkeypatch, **sources):
    for name, text in sources.items():
        (tmp_path / "pipeline").mkdir(exist_ok=True)
        (tmp_path / "pipeline" / f"{name}.py").write_text(text)
    monkeypatch.setattr(module, "_ROOT", tmp_path)


def test_an_edit_changes_the_version_of_those_that_import_it_and_of_no_other(tmp_path, monkeypatch):
    _project(
        tmp_path,
        monkeypatch,
        training="from pipeline import model\n",
        model="import tensorflow\n",
        imaging="X = 1\n",
    )
    training, imaging = code_version("pipeline.training"), code_version("pipeline.imaging")
    (tmp_path / "pipeline" / "model.py").write_text("import tensorflow  # edited\n")
    assert code_version("pipeline.training") != training
    assert code_version("pipeline.imaging") == imaging


def test_another_team_s_module_counts_with_what_it_imports_of_its_own(tmp_path, monkeypatch):
    package = tmp_path / "their_trainer"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "main.py").write_text(
        "import json\nfrom their_trainer import layers\n\n\ndef run_fn(fn_args):\n    pass\n"
    )
    (package / "layers.py").write_text("X = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = module.version_of("their_trainer.main.run_fn")
    (package / "layers.py").write_text("X = 2\n")
    assert module.version_of("their_trainer.main.run_fn") != before
    assert module.fault("code.run_fn", "their_trainer.main.run_fn") is None


@pytest.mark.parametrize("line", ["from . import layers", "from .layers import X"])
def test_an_edit_counts_in_a_module_that_is_imported_by_a_dot(tmp_path, monkeypatch, line):
    _project(tmp_path, monkeypatch, training=f"{line}\n", layers="X = 1\n")
    before = code_version("pipeline.training")
    (tmp_path / "pipeline" / "layers.py").write_text("X = 2\n")
    assert code_version("pipeline.training") != before


def test_a_function_in_a_file_that_is_no_python_is_said_in_one_line(tmp_path, monkeypatch):
    _project(tmp_path, monkeypatch, training="X = 1\n\ndef run_fn(:\n")
    fault = module.fault("code.run_fn", "pipeline.training.run_fn")
    assert fault.startswith(f"code.run_fn: {tmp_path}/pipeline/training.py is no valid Python: ")
    assert fault.endswith("(training.py, line 3)")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("nowhere.at.all", "no module 'nowhere.at'"),
        ("pipeline.nowhere.run_fn", "no module 'pipeline.nowhere'"),
        ("pipeline.config.run_fn", "defines no function 'run_fn'"),
    ],
)
def test_a_function_that_is_not_there_is_named_before_anything_runs(function, said):
    fault = module.fault("code.run_fn", function)
    assert fault.startswith("code.run_fn: ")
    assert said in fault


def test_modules_that_import_each_other_are_no_trap(tmp_path, monkeypatch):
    _project(
        tmp_path, monkeypatch, a="def f():\n    from pipeline import b\n", b="import pipeline.a\n"
    )
    assert len(code_version("pipeline.a")) == 64
