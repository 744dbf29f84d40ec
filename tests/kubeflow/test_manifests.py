"""The manifests are what Kubernetes takes, and name the same things as the cluster file."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from kubeflow import cluster

MANIFESTS = Path(cluster.__file__).with_name("manifests")
OLDEST = "1.30"


def _resources() -> list[Any]:
    return [
        pytest.param(resource, id=f"{path.stem}-{resource['kind']}-{resource['metadata']['name']}")
        for path in sorted(MANIFESTS.glob("*.yaml"))
        if path.stem != "kustomization"
        for resource in yaml.safe_load_all(path.read_text())
    ]


@pytest.mark.parametrize("resource", _resources())
@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
def test_kubernetes_takes_the_manifest(resource, version):
    kubernetes_validate.validate(resource, version, strict=True)


def test_kustomization_lists_files_that_are_there():
    listed = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]
    assert listed
    assert all((MANIFESTS / name).is_file() for name in listed)


def test_every_volume_that_a_step_mounts_is_claimed():
    claims = {
        resource["metadata"]["name"]
        for resource in yaml.safe_load_all((MANIFESTS / "volumes.yaml").read_text())
    }
    settings = cluster.load()
    mounted = {claim for name in settings.steps for claim in settings.of(name).volumes}
    assert mounted == claims


def test_tensorflow_serving_mounts_what_the_pusher_writes_to():
    path = MANIFESTS.parents[1] / "serving/tensorflow_serving/kubernetes/deployment.yaml"
    pod = yaml.safe_load(path.read_text())["spec"]["template"]["spec"]
    served = {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert served == set(cluster.load().of("AtomicPusher").volumes)


def test_the_service_account_can_read_but_not_change_secrets():
    (role,) = (
        resource
        for resource in yaml.safe_load_all((MANIFESTS / "service-account.yaml").read_text())
        if resource["kind"] == "Role"
    )
    assert {tuple(rule["verbs"]) for rule in role["rules"] if "secrets" in rule["resources"]} == {
        ("get",)
    }


def test_steps_write_only_to_folders_on_mounted_volumes():
    settings = cluster.load()
    pusher, trainer = settings.of("AtomicPusher"), settings.of("Trainer")
    assert settings.serving_dir.startswith(tuple(pusher.volumes.values()))
    assert settings.cache_dir is not None
    assert settings.cache_dir.startswith(tuple(trainer.volumes.values()))
