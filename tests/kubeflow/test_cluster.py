"""The cluster file is checked before anything is compiled."""

import pytest

from kubeflow import cluster
from pipeline.config import ConfigError


def test_a_step_takes_what_every_step_gets_unless_it_says_otherwise(tmp_path):
    path = _file(tmp_path, step="{cpu: 3, memory: 5}", steps="{Trainer: {memory: 64, gpu: 1}}")
    loaded = cluster.load(path)
    assert (loaded.of("Trainer").cpu, loaded.of("Trainer").memory) == (3, 64)
    assert loaded.of("Trainer").gpu == 1
    assert (loaded.of("StatisticsGen").memory, loaded.of("StatisticsGen").gpu) == (5, 0)


def test_named_fields_go_before_the_file_s(tmp_path):
    loaded = cluster.load(_file(tmp_path), image="other:2", data_root=None)
    assert (loaded.image, loaded.data_root) == ("other:2", "/data")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"step": "{cpu: 0}"}, "step.cpu"),
        ({"step": "{memory: lots}"}, "step.memory"),
        ({"steps": "{Trainer: {gpus: 1}}"}, "steps.Trainer.gpus"),
        ({"steps": "{Trainer: {volumes: {claim: relative}}}"}, "steps.Trainer.volumes.claim"),
        ({"step": "{tolerations: [{key: gpu, effect: Never}]}"}, "step.tolerations.0.effect"),
        ({"step": "{tolerations: [{value: x}]}"}, "an empty key needs operator Exists"),
        ({"step": "{tolerations: [{key: a, operator: Exists, value: x}]}"}, "takes no value"),
        ({"step": "{node_selector: [ssd]}"}, "step.node_selector"),
        ({"image_pull_secrets": "registry"}, "image_pull_secrets"),
        ({"infra_validator": "{image: a:1, dir: /mnt/trial}"}, "infra_validator.dir"),
        ({"infra_validator": "{image: latest, dir: /mnt/trial}"}, "infra_validator.image"),
        ({"serving_dir": "gs://bucket/models"}, "serving_dir"),
        ({"image": "[]"}, "image"),
        ({"steps": "[Trainer]"}, "must hold fields"),
        ({"steps": "{Trainer: 1}"}, "must hold fields"),
        ({"imgae": "x"}, "imgae"),
        ({"image": "{"}, "not YAML"),
    ],
)
def test_a_wrong_field_is_named_in_one_line(tmp_path, changed, words):
    path = _file(tmp_path, **changed)
    with pytest.raises(ConfigError) as error:
        cluster.load(path)
    assert str(path) in str(error.value)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        cluster.load(tmp_path / "none.yaml")


def test_a_file_without_fields_is_refused(tmp_path):
    path = tmp_path / "cluster.yaml"
    path.write_text("just words")
    with pytest.raises(ConfigError, match="must hold fields"):
        cluster.load(path)


def _file(folder, **changed):
    fields = {"image": "pneumonia:1", "data_root": "/data", "serving_dir": "/serving"} | changed
    path = folder / "cluster.yaml"
    path.write_text("".join(f"{name}: {value}\n" for name, value in fields.items()))
    return path
