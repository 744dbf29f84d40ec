"""The launcher that stands in for a cluster does what Kubeflow's own does; so its runs count."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from kfp.pipeline_spec.pipeline_spec_pb2 import RuntimeArtifact

from tests.kubeflow.launcher import Cluster, RefusedError

# A step's program finds the ExecutorInput in `given`.
PRELUDE = "import json, pathlib, sys; given = json.loads(sys.argv[1])\n"
WRITE = "p = pathlib.Path(sys.argv[2])\n"
READ = "q = pathlib.Path(sys.argv[3])\n"


def step(
    program: str,
    *,
    after: dict[str, str] | None = None,
    outputs: bool = True,
    parameters: dict[str, str] | None = None,
    **task: object,
) -> dict[str, object]:
    return {
        "program": PRELUDE + dedent(program),
        "after": after or {},
        "outputs": outputs,
        "parameters": parameters or {},
        "task": task,
    }


def package(folder: Path, parameters: dict[str, object] | None = None, **steps: object) -> Path:
    """Writes a spec of steps whose programs are Python's."""
    anything = {"artifactType": {"schemaTitle": "system.Artifact"}}
    components, executors, tasks = {}, {}, {}
    for name, given in steps.items():
        components[name] = {
            "executorLabel": f"{name}_executor",
            "inputDefinitions": {
                "artifacts": dict.fromkeys(given["after"], anything),
                "parameters": {key: {"parameterType": "STRING"} for key in given["parameters"]},
            },
            "outputDefinitions": {"artifacts": {"out": anything} if given["outputs"] else {}},
        }
        executors[f"{name}_executor"] = given.get("executor") or {
            "container": {
                "image": "any",
                "command": [sys.executable, "-c", given["program"]],
                "args": [
                    "{{$}}",
                    "{{$.outputs.artifacts['out'].path}}",
                    "{{$.inputs.artifacts['in'].path}}",
                ],
            }
        }
        tasks[name] = {
            "taskInfo": {"name": name},
            "componentRef": {"name": name},
            "dependentTasks": sorted(set(given["after"].values())),
            "inputs": {
                "artifacts": {
                    key: {"taskOutputArtifact": {"producerTask": up, "outputArtifactKey": "out"}}
                    for key, up in given["after"].items()
                },
                "parameters": {
                    key: {"componentInputParameter": value}
                    for key, value in given["parameters"].items()
                },
            },
            **given["task"],
        }
    spec = {
        "pipelineInfo": {"name": "small"},
        "schemaVersion": "2.1.0",
        "components": components,
        "deploymentSpec": {"executors": executors},
        "root": {"dag": {"tasks": tasks}, "inputDefinitions": {"parameters": parameters or {}}},
    }
    path = folder / "package.yaml"
    path.write_text(yaml.safe_dump(spec))
    return path


def retries(count: int, longest: str) -> dict[str, object]:
    """A retry policy that waits 30 s, then 60 s, and so on."""
    backoff = {"backoffDuration": "30s", "backoffFactor": 2.0, "backoffMaxDuration": longest}
    return {"maxRetryCount": count, **backoff}


def stored(cluster: Cluster, artifact: int) -> Path:
    return cluster.store / cluster.artifacts[artifact].uri.replace("://", "/", 1)


def test_a_step_reads_what_the_one_before_it_wrote_and_no_pod_s_disk_is_left(tmp_path):
    cluster = Cluster(tmp_path)
    tasks = cluster.run(
        package(
            tmp_path,
            second=step(READ + WRITE + "p.write_text(q.read_text() + '!')", after={"in": "first"}),
            first=step(WRITE + "p.write_text('hello')\nprint(p)"),
        ),
        {},
    )
    assert [task.state for task in tasks.values()] == ["SUCCEEDED", "SUCCEEDED"]
    assert stored(cluster, tasks["second"].outputs["out"]).read_text() == "hello!"
    assert not Path(tasks["first"].log.strip()).exists()


def test_an_input_artifact_comes_without_its_type_and_with_floats_for_integers(tmp_path):
    report = """
        pathlib.Path(given['outputs']['outputFile']).write_text(json.dumps(
            {'artifacts': {'out': {'artifacts': [{'metadata': {'blessed': 1, 'on': True}}]}}}))
        p.write_text('x')
    """
    cluster = Cluster(tmp_path)
    tasks = cluster.run(
        package(
            tmp_path,
            first=step(WRITE + dedent(report)),
            second=step(
                READ + WRITE + "a = given['inputs']['artifacts']['in']['artifacts'][0]\n"
                "p.write_text(json.dumps([a['type'], a['metadata']]))",
                after={"in": "first"},
            ),
        ),
        {},
    )
    kind, metadata = yaml.safe_load(stored(cluster, tasks["second"].outputs["out"]).read_text())
    assert kind == {"instanceSchema": ""}
    assert metadata["blessed"] == 1.0
    assert metadata["on"] == 1.0


def test_empty_folders_do_not_reach_the_object_store(tmp_path):
    cluster = Cluster(tmp_path)
    tasks = cluster.run(
        package(
            tmp_path,
            one=step(
                WRITE + "(p / 'empty').mkdir(parents=True)\n"
                "(p / 'full').mkdir()\n(p / 'full' / 'f').write_text('x')"
            ),
        ),
        {},
    )
    artifact = stored(cluster, tasks["one"].outputs["out"])
    assert [path.name for path in artifact.iterdir()] == ["full"]


@pytest.mark.parametrize(("blessed", "state"), [(1, "SUCCEEDED"), (0, "SKIPPED")])
def test_a_condition_on_an_input_decides_whether_a_step_runs(tmp_path, blessed, state):
    report = (
        "pathlib.Path(given['outputs']['outputFile']).write_text(json.dumps({'artifacts': {'out': "
        f"{{'artifacts': [{{'metadata': {{'blessed': {blessed}}}}}]}}}}}}))"
    )
    tasks = Cluster(tmp_path).run(
        package(
            tmp_path,
            gate=step(WRITE + "p.write_text('x')\n" + report),
            push=step(
                WRITE + "p.write_text('x')",
                after={"in": "gate"},
                triggerPolicy={
                    "condition": "(inputs.artifacts['in'].artifacts[0].metadata['blessed'] == 1.0)"
                    " && !(inputs.artifacts['in'].artifacts[0].uri == 'nowhere')"
                },
            ),
            serve=step("pass", after={"in": "push"}, outputs=False),
        ),
        {},
    )
    assert tasks["push"].state == state
    assert tasks["serve"].state == ("SUCCEEDED" if blessed else "OMITTED")


def test_a_failed_step_is_tried_again_as_often_as_the_spec_says(tmp_path):
    tasks = Cluster(tmp_path).run(
        package(
            tmp_path,
            bad=step("sys.exit('no luck')", retryPolicy=retries(2, "3600s")),
            after=step("pass", after={"in": "bad"}, outputs=False),
        ),
        {},
    )
    assert (tasks["bad"].state, tasks["bad"].attempts) == ("FAILED", 3)
    assert "no luck" in tasks["bad"].log
    assert tasks["after"].state == "OMITTED"


@pytest.mark.parametrize(
    ("longest", "took", "attempts"),
    [
        ("0s", 0, 1),  # Kubeflow's own, where the spec says nothing: never again
        ("600s", 3600, 1),  # the time was over when the first attempt failed
        ("600s", 560, 1),  # its end is nearer than the wait before the second attempt
        ("600s", 400, 1),  # a second attempt would be ended half way
        ("600s", 100, 3),
    ],
)
def test_the_longest_time_to_try_counts_from_the_first_attempt_s_start(
    tmp_path, longest, took, attempts
):
    bad = step("sys.exit(1)", retryPolicy=retries(2, longest))
    tasks = Cluster(tmp_path, took={"bad": took}).run(package(tmp_path, bad=bad), {})
    assert tasks["bad"].attempts == attempts


def test_what_a_step_says_is_written_to_an_output_that_it_did_not_declare(tmp_path):
    cluster = Cluster(tmp_path)
    log = "given['outputs']['artifacts']['executor-logs']['artifacts'][0]"
    tasks = cluster.run(package(tmp_path, one=step(f"print({log}['uri'])", outputs=False)), {})
    file = stored(cluster, tasks["one"].outputs["executor-logs"])
    assert file.is_file()
    assert file.name == "executor-logs-0"
    assert file.read_text() == tasks["one"].log
    assert tasks["one"].log.strip() == cluster.artifacts[tasks["one"].outputs["executor-logs"]].uri


def test_ml_metadata_takes_an_artifact_once_for_an_execution(tmp_path):
    tasks = Cluster(tmp_path).run(
        package(
            tmp_path,
            up=step(WRITE + "p.write_text('x')"),
            both=step("pass", after={"in": "up", "other": "up"}, outputs=False),
        ),
        {},
    )
    assert tasks["both"].state == "FAILED"
    assert "already exists" in tasks["both"].log


def test_a_step_that_may_be_cached_runs_once_for_the_same_inputs(tmp_path):
    path = package(
        tmp_path,
        {"word": {"parameterType": "STRING"}},
        first=step(
            WRITE + "p.write_text('x')",
            parameters={"word": "word"},
            cachingOptions={"enableCache": True},
        ),
        second=step(
            WRITE + "p.write_text('x')",
            after={"in": "first"},
            cachingOptions={"enableCache": True},
        ),
        third=step(WRITE + "p.write_text('x')", after={"in": "first"}),
    )
    cluster = Cluster(tmp_path)
    cluster.run(path, {"word": "a"})
    again = cluster.run(path, {"word": "a"})
    assert [again[name].state for name in ("first", "second", "third")] == [
        "CACHED",
        "CACHED",
        "SUCCEEDED",
    ]
    other = cluster.run(path, {"word": "b"})
    assert {task.state for task in other.values()} == {"SUCCEEDED"}


def test_a_parameter_needs_a_value_or_a_default(tmp_path):
    path = package(
        tmp_path,
        {
            "here": {"parameterType": "STRING"},
            "there": {"parameterType": "STRING", "defaultValue": "d"},
        },
        one=step(
            WRITE + "p.write_text(json.dumps(given['inputs']['parameterValues']))",
            parameters={"a": "here", "b": "there"},
        ),
    )
    cluster = Cluster(tmp_path)
    with pytest.raises(RefusedError, match="here"):
        cluster.run(path, {})
    with pytest.raises(RefusedError, match="unknown"):
        cluster.run(path, {"here": "h", "elsewhere": "e"})
    with pytest.raises(RefusedError, match="type mismatch"):
        cluster.run(path, {"here": 3})
    tasks = cluster.run(path, {"here": "h"})
    assert yaml.safe_load(stored(cluster, tasks["one"].outputs["out"]).read_text()) == {
        "a": "h",
        "b": "d",
    }


def test_a_resolver_is_refused(tmp_path):
    one = {**step("pass", outputs=False), "executor": {"resolver": {}}}
    with pytest.raises(RefusedError, match="resolver"):
        Cluster(tmp_path).run(package(tmp_path, one=one), {})


def test_an_imported_artifact_is_found_again_and_must_be_in_an_object_store(tmp_path):
    importer = {"importer": {"artifactUri": {"runtimeParameter": "source"}}}
    path = package(
        tmp_path,
        {"model": {"parameterType": "STRING"}},
        model={**step("", parameters={"source": "model"}), "executor": importer},
        use=step(READ + WRITE + "p.write_text(q.read_text())", after={"in": "model"}),
    )
    cluster = Cluster(tmp_path)
    (cluster.store / "s3/models").mkdir(parents=True)
    (cluster.store / "s3/models/one").write_text("weights")
    tasks = cluster.run(path, {"model": "s3://models/one"})
    assert stored(cluster, tasks["use"].outputs["out"]).read_text() == "weights"
    again = cluster.run(path, {"model": "s3://models/one"})
    assert again["model"].outputs == tasks["model"].outputs
    with pytest.raises(RefusedError, match="no provider scheme"):
        cluster.run(path, {"model": "/on/a/disk"})


@pytest.mark.parametrize(("metadata", "found"), [({}, True), ({"role": "baseline"}, False)])
def test_an_import_finds_another_step_s_artifact_unless_it_asks_for_more(tmp_path, metadata, found):
    source = {"artifactUri": {"constant": "minio://models/one"}, "metadata": metadata}
    cluster = Cluster(tmp_path)
    trained = cluster.record(RuntimeArtifact(uri="minio://models/one"))
    path = package(tmp_path, model={**step(""), "executor": {"importer": source}})
    first, again = (cluster.run(path, {})["model"].outputs["out"] for _ in range(2))
    assert (first == trained) is found
    assert first == again
