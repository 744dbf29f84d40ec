"""Stable and canary beside each other, as docs/after-the-push.md says, for either server."""

import base64
import re
from pathlib import Path

from client import PneumoniaClient
from client.request_log import reader
from tests.serving import tiny_model

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "after-the-push.md"


def documented(base: Path, stable: int, canary: int) -> str:
    """The documented configuration, with other versions and another place."""
    pattern = r"^    (model_config_list \{.*?\} \} \})$"
    (text,) = re.findall(pattern, DOCUMENT.read_text(), re.M | re.S)
    versions = sorted(set(re.findall(r"\d{10}", text)))
    assert len(versions) == 2
    for documented, number in zip(versions, (stable, canary), strict=True):
        text = text.replace(documented, str(number))
    return text.replace("/models/pneumonia", str(base))


def test_either_version_is_asked_by_its_label(start, exported: Path, tmp_path: Path) -> None:
    config = tmp_path / "models.config"
    config.write_text(documented(exported, 1, 3))
    server = start(f"--model_config_file={config}", "--allow_version_labels_for_unavailable_models")
    film = tiny_model.png(51)
    for label, version, probability in (("stable", 1, 0.2), ("canary", 3, 0.4)):
        with PneumoniaClient(server.address, label=label) as client:
            answer = client.predict(film)
        assert (answer.version, round(answer.probability, 2)) == (version, probability)
    instances = [{"b64": base64.b64encode(film).decode()}]
    body = {"signature_name": "predict_image", "instances": instances}
    status, answer = server.http("/v1/models/pneumonia/labels/canary:predict", body)
    assert (status, round(answer["predictions"][0]["probability"], 2)) == (200, 0.4)
    assert server.http("/v1/models/pneumonia/labels/none:predict", body)[0] == 400


def test_the_log_tells_which_version_answered(start, exported: Path, tmp_path: Path) -> None:
    config = tmp_path / "models.config"
    logging = (
        f'logging_config {{ log_collector_config {{ filename_prefix: "{tmp_path}/log/a" }} '
        "sampling_config { sampling_rate: 1 } } } }"
    )
    config.write_text(re.sub(r"\} \}$", logging, documented(exported, 1, 3)))
    server = start(f"--model_config_file={config}", "--allow_version_labels_for_unavailable_models")
    for label in ("stable", "canary", "stable"):
        with PneumoniaClient(server.address, label=label) as client:
            client.predict(tiny_model.png(51))
    server.stop()
    assert [film.version for film in reader.read(tmp_path / "log")] == [1, 3, 1]
