"""Answers are logged in TensorFlow Serving's records; logging never costs an answer."""

import os
import signal
import stat
import threading
import time
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from client.request_log import reader, writer
from client.request_log.record import digest
from serving import flags
from serving.config_files import ConfigFileError
from serving.errors import ServingError
from serving.server import Server
from tests.serving import tiny_model
from tests.serving.conftest import WAIT, InProcess
from tests.serving.test_swap import until

CONFIG = """model_config_list {{ config {{
    name: "pneumonia" base_path: "{base}" model_platform: "tensorflow"
    logging_config {{ log_collector_config {{ type: "{type}" filename_prefix: "{prefix}" }}
                      sampling_config {{ sampling_rate: {rate} }} }} }} }}"""


def configured(
    folder: Path, base: Path, prefix: Path | str, rate: float = 1, type: str = ""
) -> str:
    path = folder / "models.config"
    path.write_text(CONFIG.format(base=base, prefix=prefix, rate=rate, type=type))
    return f"--model_config_file={path}"


def test_every_signature_and_both_protocols_are_logged_without_pixels(
    start, exported: Path, tmp_path: Path
) -> None:
    server = start(configured(tmp_path, exported, tmp_path / "log" / "answers"))
    grey = [tiny_model.png(grey) for grey in (0, 255, 51)]
    study = "a" * 64
    message = tiny_model.request("predict_image", grey[:2])
    server.prediction.Predict(message, timeout=WAIT, metadata=(("study-sha256", study),))
    server.predict([grey[2]], "cam")
    server.predict([tiny_model.example(grey[2])], "serving_default")
    body = {"signature_name": "predict_image", "instances": [{"b64": _base64(grey[0])}]}
    status, _ = server.http("/v1/models/pneumonia:predict", body)
    assert status == 200
    server.stop()

    films = list(reader.read(tmp_path / "log"))
    assert [film.sha256 for film in films] == [digest(grey[i]) for i in (0, 1, 2, 2, 0)]
    assert [round(film.probability, 1) for film in films] == [0.2, 1.2, 0.4, 0.4, 0.2]
    assert [film.called for film in films] == [False, True, False, False, False]
    assert [film.study for film in films] == [study, study, "", "", ""]
    assert {film.version for film in films} == {3}
    assert {"probability", "threshold", "label"} == films[0].outputs.keys()
    assert "overlay_png_bytes" not in films[2].outputs
    assert all(film.pixels is None and film.latency > 0 for film in films)


def test_tensorflow_reads_the_records_as_its_own(start, exported: Path, tmp_path: Path) -> None:
    server = start(configured(tmp_path, exported, tmp_path / "log" / "answers"))
    server.predict([tiny_model.png(51)])
    server.stop()
    (file,) = writer.files(tmp_path / "log" / "answers")
    (serialized,) = tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    log = prediction_log_pb2.PredictionLog.FromString(serialized)
    assert log.log_metadata.model_spec.name == "pneumonia"
    assert log.log_metadata.sampling_config.sampling_rate == 1
    outputs = log.predict_log.response.outputs
    assert tf.make_ndarray(outputs["probability"]) == pytest.approx([0.4])
    assert tiny_model.png(51) not in file.read_bytes()


def test_films_are_kept_where_they_are_asked_for_in_a_folder_of_the_owners_alone(
    start, exported: Path, tmp_path: Path
) -> None:
    config = configured(tmp_path, exported, tmp_path / "log" / "answers")
    server = start(config, "--log_pixels")
    server.predict([tiny_model.png(51)])
    server.stop()
    (film,) = reader.read(tmp_path / "log")
    assert film.pixels == tiny_model.png(51)
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o700
    (tmp_path / "log").chmod(0o755)
    with pytest.raises(ConfigFileError, match="chmod 0700"):
        _take(config, "--log_pixels")


@pytest.mark.parametrize(
    ("prefix", "rate", "type", "words"),
    [
        ("log/answers", 1, "", "absolute"),
        ("/", 1, "", "absolute"),
        ("/proc/none/answers", 1, "", "name another folder"),
        ("{tmp}/log/answers", 2, "", "sampling_rate 2 must lie in 0 to 1"),
        ("{tmp}/log/answers", 1, "kafka", "Cannot find LogCollector::Factory for type: kafka"),
    ],
)
def test_a_log_that_cannot_be_kept_is_refused_at_the_start(
    exported: Path, tmp_path: Path, prefix: str, rate: float, type: str, words: str
) -> None:
    place = prefix.format(tmp=tmp_path)
    with pytest.raises((ConfigFileError, ServingError), match=words):
        _take(configured(tmp_path, exported, place, rate, type))


def test_a_rate_of_nought_logs_nothing(start, exported: Path, tmp_path: Path) -> None:
    server = start(configured(tmp_path, exported, tmp_path / "log" / "answers", 0))
    server.predict([tiny_model.png(51)])
    server.stop()
    assert not writer.files(tmp_path / "log" / "answers")


def test_a_full_disk_costs_no_answer_and_is_counted(start, exported: Path, tmp_path: Path) -> None:
    server = start(configured(tmp_path, exported, tmp_path / "log" / "answers"))
    folder = tmp_path / "log"
    folder.rename(tmp_path / "gone")
    folder.write_text("a file where the folder was: every write fails, root's too")
    for _ in range(5):
        server.predict([tiny_model.png(51)])
    until(lambda: _count(server, "DATA_LOSS") == 5)
    folder.unlink()
    (tmp_path / "gone").rename(folder)
    server.predict([tiny_model.png(0)])
    server.stop()
    assert _count(server, "OK") == 1
    assert [film.sha256 for film in reader.read(folder)] == [digest(tiny_model.png(0))]


def test_a_killed_servers_log_is_read_to_its_last_whole_record(
    launch, base_path: Path, tmp_path: Path
) -> None:
    server = launch(base_path, f"--request_log={tmp_path / 'log' / 'answers'}")
    answered = 0
    for _ in range(40):
        server.predict([tiny_model.png(51)])
        answered += 1
    os.kill(server.popen.pid, signal.SIGKILL)
    server.popen.wait(WAIT)
    (file,) = writer.files(tmp_path / "log" / "answers")
    whole = len(list(reader.read(tmp_path / "log")))
    assert 0 < whole <= answered
    for cut in (1, 5, 100):  # as a kill in the middle of a write leaves it
        file.write_bytes(file.read_bytes()[:-cut])
        assert len(list(reader.read(tmp_path / "log"))) == whole - 1


@pytest.mark.parametrize(
    "other",
    [
        'base_path: "/other" model_platform: "caffe"',
        'base_path: "/other" model_platform: "tensorflow" logging_config { '
        'log_collector_config { filename_prefix: "not absolute" } }',
    ],
)
def test_a_refused_configuration_leaves_logging_as_it_was(
    start, exported: Path, tmp_path: Path, other: str
) -> None:
    config = configured(tmp_path, exported, tmp_path / "log" / "answers")
    server = start(config, "--model_config_file_poll_wait_seconds=0.05")
    arriving = tmp_path / "arriving"
    refused = CONFIG.format(base=exported, prefix=tmp_path / "elsewhere" / "a", rate=1, type="")
    arriving.write_text(f'{refused[:-1]} config {{ name: "other" {other} }} }}')
    arriving.rename(tmp_path / "models.config")
    until((tmp_path / "elsewhere").exists)
    time.sleep(0.5)  # some polls
    server.predict([tiny_model.png(51)])
    server.stop()
    assert len(list(reader.read(tmp_path / "log"))) == 1
    assert not [one for one in threading.enumerate() if one.name == "request-log"]


def test_two_models_may_not_write_the_same_log(exported: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, exported, tmp_path / "log" / "answers")
    written = (tmp_path / "models.config").read_text()
    one = written.removeprefix("model_config_list {").removesuffix("}")
    other = one.replace('"pneumonia"', '"other"')
    (tmp_path / "models.config").write_text(f"model_config_list {{ {one} {other} }}")
    with pytest.raises(ConfigFileError, match="logging_config of other: another model's log"):
        _take(config)


def _take(*arguments: str) -> None:
    server = Server(flags.parse(list(arguments)))
    try:
        with server._logging.taking(server._config):
            pass
    finally:
        server._close()


def _count(server: InProcess, status: str) -> float:
    page = server.server._metrics.page().decode().splitlines()
    name = ":tensorflow:serving:request_log_count"
    counts = [line for line in page if line.startswith(name) and f'"{status}"' in line]
    return sum(float(line.split()[-1]) for line in counts)


def _base64(content: bytes) -> str:
    import base64

    return base64.b64encode(content).decode()
