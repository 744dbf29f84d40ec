"""The compiled file alone, run as Kubeflow would run it, ends with the local run's model."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format

from components import names
from kubeflow import cluster as clusters
from kubeflow import runner
from pipeline import config as configuration
from pipeline import local_runner
from pipeline.datasets import synthesis
from pipeline.runs.folder import RunFolder
from tests.kubeflow.launcher import Cluster, Task

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

CONFIG = configuration.load(
    overrides=[
        *("image.size=64", "model.weights=random", "model.width=0.125"),
        *("train.epochs=1", "gate.recall=0", "gate.recall_lower_bound=0"),
        *("gate.precision=0", "gate.max_recall_drop=1", "gate.counterfactual_films=4"),
        *("gate.letters=null", "gate.outside=null", "gate.wiped=null", "gate.heat_in_lungs=null"),
        *("report.robustness_films=2", "report.cam_films=2"),
    ]
)


class Site:
    """X-rays, volumes and a cluster in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.xrays = folder / "xrays"
        synthesis.synthesize(self.xrays, synthesis.Recipe(images=80, seed=7))
        self.serving = folder / "volumes/serving"
        (folder / "volumes/cache").mkdir(parents=True)
        self.serving.mkdir()
        self.cluster = Cluster(
            folder / "cluster",
            volumes={
                "xrays": self.xrays,
                "cache": folder / "volumes/cache",
                "serving": self.serving,
            },
        )

    def compile(self, baseline: str | None = None) -> Path:
        """Writes the package."""
        mounts = self.folder / "mnt"
        settings = clusters.Cluster(
            image="pneumonia:test",
            data_root=f"{mounts}/xrays",
            serving_dir=f"{mounts}/serving/pneumonia",
            cache_dir=f"{mounts}/cache",
            step=clusters.StepResources(retries=0),
            steps={
                "XrayExampleGen": clusters.StepResources(
                    retries=0, volumes={"xrays": f"{mounts}/xrays"}
                ),
                "Trainer": clusters.StepResources(retries=0, volumes={"cache": f"{mounts}/cache"}),
                "AtomicPusher": clusters.StepResources(
                    retries=0, cache=False, volumes={"serving": f"{mounts}/serving"}
                ),
            },
        )
        package = self.folder / f"pneumonia-{bool(baseline)}.yaml"
        runner.compile_pipeline(CONFIG, settings, baseline=baseline).write(package)
        return package

    def run(self, package: Path) -> dict[str, Task]:
        """Runs the file by itself."""
        return self.cluster.run(package, {"data_version": "first"})


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def package(site) -> Path:
    return site.compile()


@pytest.fixture(scope="module")
def first(site, package) -> dict[str, Task]:
    tasks = site.run(package)
    failed = {name: task.log[-4000:] for name, task in tasks.items() if task.state == "FAILED"}
    assert not failed, next(iter(failed.values()))
    return tasks


@pytest.fixture(scope="module")
def local(site, tmp_path_factory) -> Path:
    """The version that a run on this machine pushes."""
    folder = RunFolder(tmp_path_factory.mktemp("local"))
    with folder.locked():
        local_runner.run(CONFIG, site.xrays, folder)
    (version,) = folder.serving.glob("[0-9]*")
    return version


def test_every_step_succeeds_and_the_model_is_on_the_volume(site, first):
    assert {task.state for task in first.values()} == {"SUCCEEDED"}
    (version,) = (site.serving / "pneumonia").glob("[0-9]*")
    assert (version / "saved_model.pb").is_file()


def test_the_pushed_model_predicts_what_the_local_run_s_does(site, first, local):
    (version,) = (site.serving / "pneumonia").glob("[0-9]*")
    films = sorted(path for path in site.xrays.rglob("*.jp*g"))[:8]
    images = tf.constant([path.read_bytes() for path in films])
    ours, theirs = (
        tf.saved_model.load(str(path)).signatures[names.PREDICT_IMAGE](image_bytes=images)
        for path in (version, local)
    )
    np.testing.assert_allclose(ours["probability"], theirs["probability"], atol=1e-5)
    np.testing.assert_allclose(ours["threshold"], theirs["threshold"], atol=1e-5)
    np.testing.assert_array_equal(ours["label"], theirs["label"])


def test_kubeflow_s_pages_have_the_evaluation_s_figures_to_show(site, first):
    metadata = {
        key: json_format.MessageToDict(site.cluster.artifacts[number].metadata)
        for key, number in first["Evaluator"].outputs.items()
    }
    scalars, drawn = metadata["metrics"], metadata["classification_metrics"]
    (version,) = (site.serving / "pneumonia").glob("[0-9]*")
    summary = json.loads((version / "assets.extra/training.json").read_text())
    assert scalars["threshold"] == summary["operating_point"]["threshold"]
    assert scalars["blessed"] == 1
    (healthy, alarms), (missed, found) = (
        row["row"] for row in drawn["confusionMatrix"]["struct"]["rows"]
    )
    assert scalars["recall"] == pytest.approx(found / (found + missed))
    assert scalars["recall_lower_bound"] <= scalars["recall"]
    assert scalars["specificity"] == pytest.approx(healthy / (healthy + alarms))
    assert 0 <= scalars["auc"] <= 1
    points = drawn["confidenceMetrics"]["list"]
    rates = [(point["falsePositiveRate"], point["recall"]) for point in points]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == (1, 1)
    assert rates[-1] == (0, 0)
    assert all(0 <= point["confidenceThreshold"] <= 1 for point in points)


def test_the_same_again_comes_from_the_cache_and_pushes_nothing(site, package, first):
    before = sorted((site.serving / "pneumonia").glob("[0-9]*"))
    again = site.run(package)
    assert {name for name, task in again.items() if task.state != "CACHED"} == {"AtomicPusher"}
    assert again["AtomicPusher"].state == "SUCCEEDED"
    assert sorted((site.serving / "pneumonia").glob("[0-9]*")) == before


def test_a_baseline_from_the_object_store_is_compared_with(site, first):
    served = site.cluster.artifacts[first["Trainer"].outputs["model"]].uri
    tasks = site.run(site.compile(baseline=served))
    assert tasks["Evaluator"].state == "SUCCEEDED", tasks["Evaluator"].log[-4000:]
    blessing = site.cluster.artifacts[tasks["Evaluator"].outputs["blessing"]].metadata
    assert blessing["blessed"] == 1
    assert blessing["baseline_model"] == served
    assert tasks["AtomicPusher"].state == "SUCCEEDED", tasks["AtomicPusher"].log[-4000:]
