"""What is compiled runs on open-source Kubeflow, and says what the flags said."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import components
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig

from kubeflow import cluster, command, metrics, runner, spec
from pipeline import config
from pipeline.config import ConfigError
from tests.kubeflow.launcher import Cluster
from tests.kubeflow.test_launcher import package, step

REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def invoke(*words: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("compiled") / "pneumonia.yaml"
    done = invoke(
        *("compile", "--output", path, "--image", "registry.test/pneumonia:7", "--gpu", 2),
        *("--epochs", 9, "--recall", 0.91, "--precision", 0.7, "--set", "image.size=64"),
        *("--data-root", "/mnt/films", "--baseline", "s3://models/served"),
    )
    assert done == 0
    return path


@pytest.fixture(scope="module")
def documents(compiled) -> list[Any]:
    return list(yaml.safe_load_all(compiled.read_text()))


@pytest.fixture(scope="module")
def pipeline(documents) -> Any:
    return documents[0]


def constants(pipeline: Any, task: str) -> dict[str, Any]:
    given = pipeline["root"]["dag"]["tasks"][task]["inputs"]["parameters"]
    return {
        name: value["runtimeValue"]["constant"]
        for name, value in given.items()
        if "runtimeValue" in value
    }


def test_it_is_spec_2_1_and_loads_in_kubeflow_s_own_kit(compiled, pipeline):
    assert pipeline["schemaVersion"] == "2.1.0"
    loaded = components.load_component_from_file(str(compiled))
    assert loaded.name == "pneumonia"
    assert set(loaded.component_spec.inputs) == {"data_root", "data_version", "baseline"}


def test_only_executors_that_open_source_kubeflow_has(pipeline):
    kinds = {kind for held in pipeline["deploymentSpec"]["executors"].values() for kind in held}
    assert kinds == {"container", "importer"}


def test_every_step_runs_this_project_s_entry_point_in_the_given_image(pipeline):
    for container in spec.containers(pipeline).values():
        assert container["image"] == "registry.test/pneumonia:7"
        assert container["command"] == ["python", "-m", "kubeflow.step"]


def test_flags_for_epochs_and_gate_reach_the_steps(pipeline):
    trained = json.loads(constants(pipeline, "Trainer")["custom_config"])
    assert trained["train"]["epochs"] == 9
    assert trained["image"]["size"] == 64
    bounds = json.loads(constants(pipeline, "Evaluator")["eval_config"])["metrics_specs"][0]
    least = {
        json.loads(metric["config"])["name"]: metric["per_slice_thresholds"][0]["threshold"][
            "value_threshold"
        ]["lower_bound"]
        for metric in bounds["metrics"]
        if "per_slice_thresholds" in metric
    }
    assert least["recall"] == pytest.approx(0.91, abs=1e-6)
    assert least["precision"] == pytest.approx(0.7, abs=1e-6)


def test_where_the_x_rays_are_is_a_parameter_of_the_run(pipeline):
    declared = pipeline["root"]["inputDefinitions"]["parameters"]
    assert declared["data_root"] == {"parameterType": "STRING", "defaultValue": "/mnt/films"}
    assert "defaultValue" not in declared["data_version"]
    given = pipeline["root"]["dag"]["tasks"]["XrayExampleGen"]["inputs"]["parameters"]
    assert given["input_base"] == {"componentInputParameter": "data_root"}
    assert given["fingerprint"] == {"componentInputParameter": "data_version"}


def test_the_model_to_compare_with_is_imported(pipeline):
    tasks = pipeline["root"]["dag"]["tasks"]
    assert tasks["BaselineImporter"]["inputs"]["parameters"]["artifact_uri"] == {
        "componentInputParameter": "baseline"
    }
    given = tasks["Evaluator"]["inputs"]["artifacts"]["baseline_model"]
    assert given["taskOutputArtifact"]["producerTask"] == "BaselineImporter"


def test_each_step_has_its_resources_retries_and_cache(pipeline):
    containers = spec.containers(pipeline)
    trainer = containers["Trainer"]["resources"]
    assert trainer["accelerator"] == {"type": "nvidia.com/gpu", "count": "2"}
    assert trainer["memoryLimit"] == trainer["memoryRequest"] == 32
    assert all(
        "accelerator" not in container["resources"]
        for name, container in containers.items()
        if name != "Trainer"
    )
    tasks = {name: pipeline["root"]["dag"]["tasks"][name] for name in containers}
    assert {task["retryPolicy"]["maxRetryCount"] for task in tasks.values()} == {2}
    uncached = [n for n, task in tasks.items() if not task["cachingOptions"]["enableCache"]]
    assert uncached == ["AtomicPusher"]


def test_no_step_takes_one_artifact_in_two_inputs(pipeline):
    """ML Metadata as Kubeflow deploys it refuses the second event, and the run is over."""
    for name, task in pipeline["root"]["dag"]["tasks"].items():
        sources = [
            tuple(given["taskOutputArtifact"].values())
            for given in task.get("inputs", {}).get("artifacts", {}).values()
        ]
        assert len(sources) == len(set(sources)), name


def test_a_step_that_fails_after_hours_is_tried_again(pipeline, tmp_path):
    policies = {
        json.dumps(task["retryPolicy"], sort_keys=True)
        for name, task in pipeline["root"]["dag"]["tasks"].items()
        if name != "BaselineImporter"
    }
    (policy,) = map(json.loads, policies)
    bad = step("sys.exit(1)", retryPolicy=policy)
    for hours in (0.01, 1, 24):
        cluster = Cluster(tmp_path, took={"bad": hours * 3600})
        assert cluster.run(package(tmp_path, bad=bad), {})["bad"].attempts == 3


def test_the_evaluator_puts_out_what_kubeflow_s_pages_draw(pipeline):
    titles = {
        (name, key): artifact["artifactType"]["schemaTitle"]
        for name, component in pipeline["components"].items()
        for key, artifact in component.get("outputDefinitions", {}).get("artifacts", {}).items()
        if artifact["artifactType"].get("schemaTitle", "").endswith("Metrics")
    }
    assert titles == {
        ("Evaluator", "metrics"): "system.Metrics",
        ("Evaluator", "classification_metrics"): "system.ClassificationMetrics",
    }


def test_each_step_is_told_the_outputs_that_tfx_declares(pipeline):
    told = {}
    for name, container in spec.containers(pipeline).items():
        args = container["args"]
        told[name] = set(json.loads(args[args.index("--tfx_outputs") + 1]))
    for name, keys in told.items():
        declared = set(pipeline["components"][name]["outputDefinitions"]["artifacts"])
        assert keys == declared - metrics.OUTPUTS.keys()
    assert told["Evaluator"] == {"evaluation", "blessing"}


def test_volumes_are_mounted_by_the_steps_that_need_them(documents):
    executors = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    mounts = {
        label: {mount["constant"]: mount["mountPath"] for mount in given["pvcMount"]}
        for label, given in executors.items()
    }
    assert mounts == {
        "XrayExampleGen_executor": {"pneumonia-xrays": "/mnt/xrays"},
        "Trainer_executor": {"pneumonia-cache": "/mnt/cache"},
        "AtomicPusher_executor": {"pneumonia-models": "/mnt/serving"},
    }


def test_pods_are_given_nodes_taints_and_pull_secrets_as_kubeflow_takes_them():
    tolerations = (
        cluster.Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule"),
        cluster.Toleration(key="team", value="radiology"),
    )
    settings = cluster.Cluster(
        image="i",
        data_root="/d",
        serving_dir="/s",
        image_pull_secrets=("registry",),
        steps={
            "Trainer": cluster.StepResources(
                node_selector={"accelerator": "t4"},
                tolerations=tolerations,
                volumes={"cache": "/mnt/cache"},
            )
        },
    )
    names = ("Trainer", "Evaluator")
    components = {name: {"executorLabel": f"{name}_executor"} for name in names}
    executors = {f"{name}_executor": {"container": {}} for name in names}
    tasks = {name: {"componentRef": {"name": name}} for name in names}
    job = {
        "pipelineSpec": {
            "components": components,
            "deploymentSpec": {"executors": executors},
            "root": {"dag": {"tasks": tasks}},
        }
    }
    pods = spec.platform(job, settings)["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    trainer, evaluator = (
        json_format.ParseDict(pods[f"{name}_executor"], KubernetesExecutorConfig())
        for name in names
    )
    assert [secret.secret_name for secret in evaluator.image_pull_secret] == ["registry"]
    assert trainer.image_pull_secret == evaluator.image_pull_secret
    assert dict(trainer.node_selector.labels) == {"accelerator": "t4"}
    first, second = trainer.tolerations
    assert (first.key, first.operator, first.effect) == ("nvidia.com/gpu", "Exists", "NoSchedule")
    assert (second.key, second.operator, second.value) == ("team", "Equal", "radiology")
    assert trainer.pvc_mount[0].mount_path == "/mnt/cache"
    assert not evaluator.tolerations


def test_types_of_our_own_are_named_by_where_they_are_found(pipeline):
    titles = {
        yaml.safe_load(artifact["artifactType"]["instanceSchema"])["title"]
        for component in pipeline["components"].values()
        for artifact in component.get("outputDefinitions", {}).get("artifacts", {}).values()
        if "instanceSchema" in artifact["artifactType"]
    }
    for title in titles - {title for title in titles if title.startswith("tfx.")}:
        module, name = title.rsplit(".", 1)
        assert hasattr(__import__(module, fromlist=[name]), name)


def test_nothing_of_this_machine_is_in_it(compiled):
    assert str(REPOSITORY) not in compiled.read_text()


def test_the_same_configuration_compiles_to_the_same_bytes(tmp_path):
    """Or nothing would ever be found in Kubeflow's cache."""
    texts = []
    for name in ("a.yaml", "b.yaml"):
        runner.compile_pipeline(config.load(), cluster.load()).write(tmp_path / name)
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1]


def test_without_a_baseline_there_is_none_to_import():
    package = runner.compile_pipeline(config.load(), cluster.load())
    assert "BaselineImporter" not in package.job["pipelineSpec"]["root"]["dag"]["tasks"]
    assert "baseline" not in package.job["pipelineSpec"]["root"]["inputDefinitions"]["parameters"]


def test_pusher_and_report_ask_for_infra_validator_s_blessing_too(tmp_path):
    mine = tmp_path / "cluster.yaml"
    text = cluster.DEFAULT.read_text().replace("# infra_validator:", "infra_validator:")
    volume = "  InfraValidator: {volumes: {pneumonia-models: /mnt/serving}}\n"
    mine.write_text(text.replace("steps:\n", f"steps:\n{volume}", 1))
    package = runner.compile_pipeline(config.load(), cluster.load(mine))
    pipeline = package.job["pipelineSpec"]
    given = pipeline["root"]["dag"]["tasks"]["AtomicPusher"]["inputs"]["artifacts"]
    producers = {key: value["taskOutputArtifact"]["producerTask"] for key, value in given.items()}
    assert producers["infra_blessing"] == "ServingCheck"
    assert producers["second_infra_blessing"] == "InfraValidator"
    reported = pipeline["root"]["dag"]["tasks"]["Reporter"]["inputs"]["artifacts"]
    assert reported["second_infra_blessing"] == given["second_infra_blessing"]
    tried = json.loads(constants(pipeline, "InfraValidator")["serving_spec"])
    assert tried["tensorflow_serving"]["tags"] == ["2.20.0"]
    manifest = REPOSITORY / "serving/tensorflow_serving/kubernetes/deployment.yaml"
    assert f"image: {tried['tensorflow_serving']['image_name']}:2.20.0\n" in manifest.read_text()


def test_vertex_ai_s_json_holds_the_whole_job(tmp_path):
    path = tmp_path / "pneumonia.json"
    mine = tmp_path / "cluster.yaml"
    mine.write_text(
        "image: europe-docker.pkg.dev/p/r/pneumonia:1\ndata_root: /gcs/films\n"
        "serving_dir: /gcs/models/pneumonia\npipeline_root: gs://artifacts/root\n"
        "steps: {Trainer: {gpu: 1, gpu_type: NVIDIA_TESLA_T4}}\n"
    )
    assert invoke("compile", "--vertex", "--cluster", mine, "--output", path) == 0
    job = json.loads(path.read_text())
    assert job["runtimeConfig"]["gcsOutputDirectory"] == "gs://artifacts/root"
    assert job["runtimeConfig"]["parameterValues"]["data_root"] == "/gcs/films"
    executor = job["pipelineSpec"]["deploymentSpec"]["executors"]["Trainer_executor"]
    assert executor["container"]["resources"]["accelerator"]["type"] == "NVIDIA_TESLA_T4"


def test_a_step_that_the_pipeline_does_not_have_is_bad_usage(tmp_path, capsys):
    mine = tmp_path / "cluster.yaml"
    mine.write_text(cluster.DEFAULT.read_text().replace("  Trainer:", "  Triner:"))
    assert invoke("compile", "--cluster", mine, "--output", tmp_path / "p.yaml") == 2
    (line,) = (
        line for line in capsys.readouterr().err.splitlines() if line.startswith("pneumonia")
    )
    assert "steps.Triner" in line
    assert "Trainer" in line
    assert not (tmp_path / "p.yaml").exists()


@pytest.mark.parametrize("words", [("--epochs", "0"), ("--recall", "1.5"), ("--config", "none")])
def test_a_wrong_value_is_bad_usage(tmp_path, capsys, words):
    assert invoke("compile", "--output", tmp_path / "p.yaml", *words) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_place_that_cannot_be_written_is_named(tmp_path, capsys):
    assert invoke("compile", "--output", tmp_path) == 2
    assert f"{tmp_path}: Is a directory" in capsys.readouterr().err.splitlines()[-1]


def test_a_negative_count_of_gpus_is_bad_usage(tmp_path, capsys):
    with pytest.raises(SystemExit):
        invoke("compile", "--output", tmp_path / "p.yaml", "--gpu", "-1")
    assert "'-1' is no count" in capsys.readouterr().err


def test_a_type_for_kubeflow_s_page_becomes_its_html():
    schema = "title: pneumonia.Report\ntype: object\n"
    artifact = {"artifactType": {"instanceSchema": schema}}
    component = {
        "executorLabel": "Report_executor",
        "outputDefinitions": {"artifacts": {"report": artifact}},
    }
    args = ["--json_serialized_inputs_spec_args", "{}"]
    job = {
        "pipelineSpec": {
            "components": {"Report": component},
            "deploymentSpec": {"executors": {"Report_executor": {"container": {"args": args}}}},
            "root": {
                "dag": {
                    "tasks": {
                        "Report": {
                            "taskInfo": {"name": "Report"},
                            "componentRef": {"name": "Report"},
                        }
                    }
                }
            },
        }
    }
    settings = cluster.Cluster(image="i", data_root="/d", serving_dir="/s")
    done = spec.finished(job, settings, {"pneumonia.Report": "components.report.Report"}, {})
    held = done["pipelineSpec"]["components"]["Report"]["outputDefinitions"]["artifacts"]["report"]
    assert held["artifactType"]["schemaTitle"] == "system.HTML"


def test_an_unknown_step_is_named_together_with_the_known_ones():
    settings = cluster.Cluster(
        image="i", data_root="/d", serving_dir="/s", steps={"Nobody": cluster.StepResources()}
    )
    job = {"pipelineSpec": {"root": {"dag": {"tasks": {"Somebody": {}}}}}}
    with pytest.raises(ConfigError, match=r"steps\.Nobody.*known: Somebody"):
        spec.finished(job, settings, {}, {})


def test_the_report_is_a_page_that_kubeflow_shows(pipeline):
    outputs = pipeline["components"]["Reporter"]["outputDefinitions"]["artifacts"]
    assert outputs["report"]["artifactType"]["schemaTitle"] == "system.HTML"
