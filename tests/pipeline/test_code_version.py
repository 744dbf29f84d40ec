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


def test_modules_that_import_each_other_are_no_trap(tmp_path, monkeypatch):
    _project(
        tmp_path, monkeypatch, a="def f():\n    from pipeline import b\n", b="import pipeline.a\n"
    )
    assert len(code_version("pipeline.a")) == 64
