"""The deployment of the real TensorFlow Serving, as far as it can be checked without a cluster."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import kubernetes_validate
import pytest
import yaml

from serving import config_files, flags
from tests.serving.conftest import WAIT, InProcess
from tests.serving.tiny_model import png

FOLDER = Path(__file__).parents[2] / "serving" / "tensorflow_serving"
MANIFESTS = ["deployment.yaml", "service.yaml", "autoscaler.yaml"]


def manifest(name: str) -> Any:
    return yaml.safe_load((FOLDER / "kubernetes" / name).read_text())


def entry_point() -> list[str]:
    text = re.sub(r"\\\n", "", (FOLDER / "Dockerfile").read_text())
    return json.loads(re.search(r"^ENTRYPOINT (\[.*\])$", text, re.MULTILINE)[1])


def image() -> str:
    return re.search(r"^FROM (\S+)$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)[1]


def container() -> Any:
    return manifest("deployment.yaml")["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_manifests_are_valid_for_old_and_new_clusters(name: str) -> None:
    for version in ("1.29", "1.33"):
        kubernetes_validate.validate(manifest(name), version, strict=True)


def test_the_manifests_fit_together() -> None:
    deployment, service, autoscaler = map(manifest, MANIFESTS)
    pod = deployment["spec"]["template"]

    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert autoscaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    names = {port["name"] for port in container()["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} == names
    wait = int(container()["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["spec"]["terminationGracePeriodSeconds"] > wait


def test_image_and_cluster_run_the_same_server_with_the_same_flags() -> None:
    assert container()["image"] == image()
    assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+", image())
    assert [*container()["command"], *container()["args"]] == entry_point()
    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    assert all(p.startswith("127.0.0.1:") for p in compose["services"]["pneumonia"]["ports"])


def test_the_embedded_server_understands_every_flag_of_the_deployment() -> None:
    values = flags.parse(entry_point()[1:])

    assert values.model_config_file == Path("/config/models.config")
    copied = re.search(r"^COPY (.*) /config/$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)
    assert copied is not None
    assert set(copied[1].split()) == {"models.config", "monitoring.config", "batching.config"}
    generator = manifest("kustomization.yaml")["configMapGenerator"][0]
    assert {Path(file).name for file in generator["files"]} == set(copied[1].split())


@pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl")
def test_kustomize_puts_the_config_files_into_the_manifests() -> None:
    done = subprocess.run(
        ["kubectl", "kustomize", "--load-restrictor=LoadRestrictionsNone", FOLDER / "kubernetes"],
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=True,
    )

    documents = {document["kind"]: document for document in yaml.safe_load_all(done.stdout)}
    assert documents["ConfigMap"]["data"]["models.config"] == (FOLDER / "models.config").read_text()
    volumes = documents["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert documents["ConfigMap"]["metadata"]["name"] in [
        volume.get("configMap", {}).get("name") for volume in volumes
    ]


def test_the_config_files_are_official_messages() -> None:
    models = config_files.read_model_config(FOLDER / "models.config").model_config_list.config
    batching = config_files.read_batching_parameters(FOLDER / "batching.config")

    assert [(model.name, model.base_path) for model in models] == [
        ("pneumonia", "/models/pneumonia")
    ]
    assert batching.allowed_batch_sizes[-1] == batching.max_batch_size
    path = config_files.read_prometheus_path(FOLDER / "monitoring.config")
    annotations = manifest("deployment.yaml")["spec"]["template"]["metadata"]["annotations"]
    assert path == annotations["prometheus.io/path"]


def test_the_embedded_server_runs_on_the_very_same_files(
    start: Callable[..., InProcess], base_path: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models.config"
    text = (FOLDER / "models.config").read_text()
    models.write_text(text.replace("/models/pneumonia", str(base_path)))
    server = start(
        f"--model_config_file={models}",
        f"--monitoring_config_file={FOLDER / 'monitoring.config'}",
        "--enable_batching",
        f"--batching_parameters_file={FOLDER / 'batching.config'}",
    )

    answer = server.predict([png(51)] * 20)

    assert list(answer.outputs["probability"].float_val) == pytest.approx([0.2] * 20)
    for probe in ("startupProbe", "readinessProbe"):
        assert server.http(container()[probe]["httpGet"]["path"])[0] == 200


def test_the_readiness_probe_fails_while_no_version_can_be_used(
    start: Callable[..., InProcess], tmp_path: Path
) -> None:
    base = tmp_path / "models"
    (base / "1").mkdir(parents=True)
    (base / "1" / "saved_model.pb").write_bytes(b"corrupt")
    server = start("--model_name=pneumonia", f"--model_base_path={base}")

    assert server.http(container()["readinessProbe"]["httpGet"]["path"])[0] == 404


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_the_tls_example_works(
    start: Callable[..., InProcess], base_path: Path, tmp_path: Path
) -> None:
    subprocess.run(["sh", FOLDER / "make_tls.sh", tmp_path], timeout=WAIT, check=True)
    certificate = (tmp_path / "server.crt").read_bytes()
    server = start(
        "--model_name=pneumonia",
        f"--model_base_path={base_path}",
        f"--ssl_config_file={tmp_path / 'ssl.config'}",
        credentials=grpc.ssl_channel_credentials(certificate),
    )

    assert server.predict([png(51)]).model_spec.version.value == 1
    assert (tmp_path / "server.key").stat().st_mode & 0o077 == 0
