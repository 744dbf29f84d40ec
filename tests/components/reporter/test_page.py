"""What the report's head says of a model."""

from tfx.types.standard_artifacts import InfraBlessing

from components.evaluator.results import Evaluation
from components.reporter import page
from tests.pipeline.runs.test_verdict import a_slice


def test_a_model_that_infra_validator_refused_is_not_called_blessed() -> None:
    judges = ("blessing", "infra_blessing", "counterfactuals", "second_infra_blessing")
    artifacts = {name: InfraBlessing() for name in judges}
    for name, blessing in artifacts.items():
        blessing.set_int_custom_property("blessed", int(name != "second_infra_blessing"))
    said = page.judgement(artifacts, Evaluation((), a_slice(), ()), {"ok": True})
    assert not said["blessed"]
    assert "InfraValidator" in said["reasons"][0]
