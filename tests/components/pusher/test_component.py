"""What AtomicPusher publishes, keeps and notes, given each kind of blessing."""

from pathlib import Path

import pytest
from tfx.components.evaluator.constants import ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import Channel, standard_artifacts
from tfx.types.artifact import Artifact

from components.pusher import versions
from components.pusher.component import AtomicPusher, Executor
from components.quantiser.component import Int8Form


class Push:
    """AtomicPusher's executor with models to push, as TFX calls it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.serving = folder / "serving"
        self.keep = 3

    def model(self, content: str) -> Artifact:
        model = self._artifact(standard_artifacts.Model, f"model-{content}")
        saved = Path(model.uri) / "Format-Serving"
        saved.mkdir(exist_ok=True)
        (saved / "saved_model.pb").write_text(content)
        return model

    def form(self, network: str | None) -> Artifact:
        """An int8 form; None: one that was refused."""
        form = self._artifact(Int8Form, f"form-{network}")
        (Path(form.uri) / "int8.json").write_text("{}")
        if network:
            (Path(form.uri) / "network.xml").write_text(network)
        return form

    def __call__(
        self,
        model: Artifact,
        *,
        blessed: bool = True,
        servable: bool | None = None,
        by_lungs: bool | None = None,
        servable_again: bool | None = None,
        baseline: Artifact | None = None,
        judged: str = "",
        form: Artifact | None = None,
    ) -> Artifact:
        blessing = self._artifact(standard_artifacts.ModelBlessing, "blessing")
        blessing.set_int_custom_property("blessed", int(blessed))
        if baseline:
            blessing.set_string_custom_property(
                ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, baseline.uri
            )
        inputs = {"model": [model], "model_blessing": [blessing]}
        if form:
            inputs["int8_form"] = [form]
        for key, verdict in (
            ("infra_blessing", servable),
            ("counterfactual_blessing", by_lungs),
            ("second_infra_blessing", servable_again),
        ):
            if verdict is not None:
                found = self._artifact(standard_artifacts.InfraBlessing, key)
                found.set_int_custom_property("blessed", int(verdict))
                found.set_string_custom_property(versions.JUDGED, judged)
                inputs[key] = [found]
        pushed = self._artifact(standard_artifacts.PushedModel, "pushed")
        Executor(BaseExecutor.Context(tmp_dir=str(self.folder), unique_id="1")).Do(
            inputs,
            {"pushed_model": [pushed]},
            {"serving_dir": str(self.serving), "keep_versions": self.keep},
        )
        return pushed

    def _artifact(self, kind: type[Artifact], name: str) -> Artifact:
        artifact = kind()
        artifact.uri = str(self.folder / name)
        Path(artifact.uri).mkdir(exist_ok=True)
        return artifact


@pytest.fixture
def push(tmp_path: Path) -> Push:
    return Push(tmp_path)


def content(push: Push, version: int) -> str:
    return (push.serving / str(version) / "saved_model.pb").read_text()


def test_a_blessed_model_is_pushed_and_noted(push: Push) -> None:
    pushed = push(push.model("a"))
    (version,) = versions.versions(push.serving)
    assert content(push, version) == "a"
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_int_custom_property("published") == 1
    assert pushed.get_string_custom_property("pushed_version") == str(version)
    assert pushed.get_string_custom_property("pushed_destination") == str(
        push.serving / str(version)
    )


@pytest.mark.parametrize(
    ("blessed", "servable"), [(False, None), (False, True), (True, False), (False, False)]
)
def test_a_refused_model_leaves_what_is_served(
    push: Push, blessed: bool, servable: bool | None
) -> None:
    push(push.model("a"))
    before = versions.versions(push.serving)
    pushed = push(push.model("b"), blessed=blessed, servable=servable)
    assert pushed.get_int_custom_property("pushed") == 0
    assert versions.versions(push.serving) == before
    assert content(push, before[-1]) == "a"


def test_a_model_that_does_not_decide_by_the_lungs_is_not_pushed(push: Push) -> None:
    kept = push(push.model("a"), servable=True, by_lungs=False)
    assert kept.get_int_custom_property("pushed") == 0
    unservable = push(push.model("a"), servable=False, by_lungs=True)
    assert unservable.get_int_custom_property("pushed") == 0
    assert not versions.versions(push.serving)
    pushed = push(push.model("a"), servable=True, by_lungs=True)
    assert pushed.get_int_custom_property("pushed") == 1


def test_a_model_that_either_server_refuses_is_not_pushed(push: Push) -> None:
    for tried in ((True, False), (False, True)):
        pushed = push(push.model("a"), servable=tried[0], servable_again=tried[1])
        assert pushed.get_int_custom_property("pushed") == 0
    assert not versions.versions(push.serving)
    pushed = push(push.model("a"), servable=True, servable_again=True)
    assert pushed.get_int_custom_property("pushed") == 1


def test_a_model_that_serves_well_is_pushed(push: Push) -> None:
    assert push(push.model("a"), servable=True).get_int_custom_property("pushed") == 1


def test_a_model_that_is_there_is_not_pushed_twice(push: Push) -> None:
    """As after a kill between the push and its entry in the metadata."""
    first = push(push.model("a"))
    again = push(push.model("a"))
    assert len(versions.versions(push.serving)) == 1
    assert again.get_int_custom_property("pushed") == 1
    assert again.get_int_custom_property("published") == 0
    assert again.get_string_custom_property("pushed_version") == first.get_string_custom_property(
        "pushed_version"
    )


def test_only_the_newest_versions_are_kept(push: Push) -> None:
    push.keep = 2
    for name in "abc":
        push(push.model(name))
    assert [content(push, version) for version in versions.versions(push.serving)] == ["b", "c"]


def test_the_record_names_the_model_and_what_it_was_compared_with(push: Push) -> None:
    before, model = push.model("a"), push.model("b")
    push(model, baseline=before)
    record = versions.record(push.serving, versions.versions(push.serving)[-1])
    assert record is not None
    assert record.model.uri == model.uri
    assert record.baseline is not None
    assert record.baseline.uri == before.uri
    assert record.baseline.sha256 != record.model.sha256


@pytest.mark.parametrize(
    ("serving_dir", "keep", "said"), [("gs://bucket/x", 3, "bucket"), ("/srv/x", 0, "at least 1")]
)
def test_settings_that_cannot_work_are_refused_at_once(
    serving_dir: str, keep: int, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        AtomicPusher(
            model=Channel(type=standard_artifacts.Model),
            model_blessing=Channel(type=standard_artifacts.ModelBlessing),
            serving_dir=serving_dir,
            keep_versions=keep,
        )


def test_a_model_whose_pushed_files_are_damaged_is_pushed_again(push: Push) -> None:
    push(push.model("a"))
    (first,) = versions.versions(push.serving)
    (push.serving / str(first) / "saved_model.pb").write_bytes(b"")

    pushed = push(push.model("a"))

    served = versions.versions(push.serving)[-1]
    assert served > first
    assert pushed.get_int_custom_property("published") == 1
    assert versions.damage(push.serving, served) is None


def test_a_model_that_changed_on_the_disk_since_it_was_judged_is_not_pushed(push: Push) -> None:
    model = push.model("a")
    judged = versions.digest(Path(model.uri, "Format-Serving"))
    Path(model.uri, "Format-Serving", "saved_model.pb").write_text("b")

    with pytest.raises(versions.PublishError, match="not the files that were judged; 'rm -r "):
        push(model, servable=True, judged=judged)

    assert versions.versions(push.serving) == []
    assert push(push.model("a"), servable=True, judged=judged)


def pushed_network(push: Push, version: int) -> str | None:
    assert versions.damage(push.serving, version) is None
    file = push.serving / str(version) / "assets.extra/int8/network.xml"
    return file.read_text() if file.exists() else None


def test_an_int8_form_travels_with_its_model_once(push: Push) -> None:
    push(push.model("a"))
    push(push.model("a"), form=push.form("fast"))
    again = push(push.model("a"), form=push.form("fast"))
    assert again.get_int_custom_property("published") == 0
    without, beside = versions.versions(push.serving)
    assert (pushed_network(push, without), pushed_network(push, beside)) == (None, "fast")
    assert content(push, beside) == "a"


def test_a_refused_int8_form_is_no_reason_to_push_the_model_again(push: Push) -> None:
    push(push.model("a"))
    pushed = push(push.model("a"), form=push.form(None))
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_int_custom_property("published") == 0


def test_a_form_that_the_model_brings_along_goes_where_it_is_refused_anew(push: Push) -> None:
    model = push.model("a")
    brought = Path(model.uri) / "Format-Serving/assets.extra/int8"
    brought.mkdir(parents=True)
    (brought / "network.xml").write_text("the base's")
    push(model)
    push(model, form=push.form(None))
    first, second = versions.versions(push.serving)
    assert (pushed_network(push, first), pushed_network(push, second)) == ("the base's", None)
