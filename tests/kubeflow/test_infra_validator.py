"""TFX's InfraValidator, as it is on a cluster: a server in another pod decides on the model."""

from pathlib import Path

import kubernetes
import pytest
import tensorflow as tf
from google.protobuf import json_format
from tfx.components.infra_validator import serving_bins
from tfx.types import Channel, artifact_utils
from tfx.types.standard_artifacts import Examples, InfraBlessing, Model
from tfx.utils import kube_utils

from kubeflow import infra_validator
from kubeflow.cluster import Trial
from tests.kubeflow.kubernetes_api import STEP, FakeKubernetes
from tests.ports import free_port
from tests.serving import tiny_model


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    volume, port = tmp_path / "volume", free_port()
    volume.mkdir()
    namespace = tmp_path / "namespace"
    namespace.write_text("chest")
    with FakeKubernetes(volume, port) as fake:
        configuration = kubernetes.client.Configuration(host=fake.url)
        api = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(configuration))
        monkeypatch.setattr(kube_utils, "make_core_v1_api", lambda: api)
        monkeypatch.setattr(kube_utils, "is_inside_cluster", lambda: True)
        monkeypatch.setattr(serving_bins.TensorFlowServing, "_DEFAULT_GRPC_PORT", port)
        monkeypatch.setattr(infra_validator, "_NAMESPACE", namespace)
        monkeypatch.setenv(kube_utils.KFP_POD_NAME, STEP)
        monkeypatch.delenv(kube_utils.KFP_NAMESPACE, raising=False)
        yield fake


def validate(folder: Path, image: bytes) -> InfraBlessing:
    """Runs the component's executor on a small model and one film, as the step in a pod does."""
    model, examples, blessing = Model(), Examples(), InfraBlessing()
    for artifact in (model, examples, blessing):
        artifact.uri = str(folder / artifact.type_name)
    tiny_model.export(Path(model.uri, "Format-Serving"))
    examples.split_names = artifact_utils.encode_split_names(["test"])
    file = Path(examples.uri, "Split-test/data-00000-of-00001.gz")
    file.parent.mkdir(parents=True)
    example = tf.train.Example()
    example.features.feature["image/encoded"].bytes_list.value.append(image)
    with tf.io.TFRecordWriter(str(file), "GZIP") as writer:
        writer.write(example.SerializeToString())
    component = infra_validator.InfraValidator(
        Channel(type=Model),
        Channel(type=Examples),
        Trial(image="registry.test:5000/tensorflow/serving:2.20.0", dir=str(folder / "volume/t")),
    )
    properties = {
        name: value if isinstance(value, str) else json_format.MessageToJson(value)
        for name, value in component.exec_properties.items()
        if value is not None
    }
    infra_validator.Executor(infra_validator.Executor.Context()).Do(
        {"model": [model], "examples": [examples]}, {"blessing": [blessing]}, properties
    )
    return blessing


def test_a_model_that_the_server_answers_with_is_blessed(tmp_path, cluster):
    blessing = validate(tmp_path, tiny_model.png(51))
    assert blessing.get_int_custom_property("blessed") == 1
    (pod,) = cluster.pods
    (container,) = pod["spec"]["containers"]
    assert container["image"] == "registry.test:5000/tensorflow/serving:2.20.0"
    assert container["volumeMounts"][0]["readOnly"]
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == "models"
    assert pod["metadata"]["annotations"] == {"sidecar.istio.io/inject": "false"}
    assert cluster.deleted == ["server-1"]
    assert not list((tmp_path / "volume/t").iterdir())
