"""Every REST route, with good and bad requests; what to expect is TensorFlow Serving's source."""

import base64
import gzip
import http.client
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.intake import MAX_BODY_BYTES
from tests.serving.conftest import WAIT, InProcess
from tests.serving.tiny_model import SIDE, example, png

PREDICT = "/v1/models/pneumonia:predict"


def b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


def rows(*images: bytes, **more: Any) -> dict[str, Any]:
    return {"signature_name": "predict_image", "instances": [b64(i) for i in images], **more}


# Model status: model_servers/http_rest_api_handler.cc, ProcessModelStatusRequest


@pytest.mark.parametrize("path", ["/v1/models/pneumonia", "/V1/Models/pneumonia"])
def test_status_lists_every_version(shared: InProcess, path: str) -> None:
    fine = {"error_code": "OK", "error_message": ""}

    assert shared.http(path) == (
        200,
        {
            "model_version_status": [
                {"version": "2", "state": "AVAILABLE", "status": fine},
                {"version": "1", "state": "AVAILABLE", "status": fine},
            ]
        },
    )


def test_status_of_one_version(shared: InProcess) -> None:
    status, answer = shared.http("/v1/models/pneumonia/versions/1")

    assert status == 200
    assert [entry["version"] for entry in answer["model_version_status"]] == ["1"]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/v1/models/nobody", 404, "Could not find any versions of model nobody"),
        ("/v1/models/pneumonia/versions/9", 404, "Could not find version 9 of model pneumonia"),
        ("/v1/models", 400, "Missing model name in request."),
        ("/v1/models//metadata", 400, "Malformed request: GET /v1/models//metadata"),
        ("/v1/models/pneumonia/weights", 400, "Malformed request"),
        (f"/v1/models/pneumonia/versions/{2**63}", 400, "Failed to convert version"),
        (PREDICT, 400, "Malformed request: GET"),
        ("/v2/models/pneumonia", 404, ""),
        ("/", 404, ""),
    ],
)
def test_a_path_that_leads_nowhere(shared: InProcess, path: str, status: int, words: str) -> None:
    actual, answer = shared.http(path)

    assert actual == status
    assert words in answer["error"]


# Metadata


@pytest.mark.parametrize("choice", ["", "/versions/2", "/labels/stable"])
def test_metadata_holds_the_signatures(shared: InProcess, choice: str) -> None:
    status, answer = shared.http(f"/v1/models/pneumonia{choice}/metadata")

    assert status == 200
    assert answer["model_spec"]["version"] == ("1" if "stable" in choice else "2")
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert signatures["predict_image"]["inputs"]["image_bytes"]["dtype"] == "DT_STRING"


# Predict: util/json_tensor.cc


def test_instances_are_answered_row_by_row(shared: InProcess) -> None:
    status, answer = shared.http(PREDICT, rows(png(51), png(204)))

    assert status == 200
    assert list(answer) == ["predictions"]
    assert [row["label"] for row in answer["predictions"]] == [0, 1]
    assert [row["probability"] for row in answer["predictions"]] == pytest.approx([0.3, 0.9])


def test_inputs_are_answered_column_by_column(shared: InProcess) -> None:
    body = {"signature_name": "predict_image", "inputs": {"image_bytes": [b64(png(51))]}}

    status, answer = shared.http(PREDICT, body)

    assert status == 200
    assert answer["outputs"]["probability"] == pytest.approx([0.3])


def test_an_instance_may_name_its_input(shared: InProcess) -> None:
    body = {"signature_name": "predict_image", "instances": [{"image_bytes": b64(png(51))}]}

    assert shared.http(PREDICT, body)[0] == 200


def test_no_signature_name_means_serving_default(shared: InProcess) -> None:
    status, answer = shared.http(PREDICT, {"instances": [b64(example(png(51)))]})

    assert status == 200
    assert answer["predictions"][0]["probability"] == pytest.approx(0.3)


@pytest.mark.parametrize("choice", ["/versions/1", "/labels/stable"])
def test_a_version_or_a_label_can_be_asked_for(shared: InProcess, choice: str) -> None:
    status, answer = shared.http(f"/v1/models/pneumonia{choice}:predict", rows(png(51)))

    assert status == 200
    assert answer["predictions"][0]["probability"] == pytest.approx(0.2)


def test_tensors_named_bytes_are_base64_and_floats_are_short(shared: InProcess) -> None:
    body = {**rows(png(51)), "signature_name": "cam"}

    _, answer = shared.http(PREDICT, body)

    row = answer["predictions"][0]
    assert base64.b64decode(row["overlay_png_bytes"]["b64"]).startswith(b"\x89PNG")
    assert len(row["heatmap"]) == SIDE
    assert row["threshold"] == 0.5
    assert repr(row["probability"]) == "0.3"  # not 0.30000001192092896, float32's value in full


def test_a_compressed_body_is_understood(shared: InProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared.rest_port, timeout=WAIT)
    body = gzip.compress(json.dumps(rows(png(51))).encode())

    connection.request("POST", PREDICT, body, {"Content-Encoding": "gzip"})

    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"{", "JSON Parse error"),
        (b"\xff\xfe", "JSON Parse error"),
        (b"[" * 100_000, "JSON Parse error"),
        (b'{"inputs": ' + b"[" * 700 + b"]" * 700 + b"}", "more than 32 dimensions"),
        ([], "JSON Value: [] Is not object"),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"signature_name": 3}, "'signature_name' key must be a string value."),
        (b'{"signature_name": "\\ud800", "instances": ["x"]}', "'signature_name' is not Unicode"),
        (rows(png(1), inputs=[]), "expecting only one of 'inputs' or 'instances' keys to exist"),
        ({"instances": 3}, "Expecting 'instances' to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"instances": [""] * 1025}, "1025 instances; at most 1024 go into one request"),
        (
            {"signature_name": "nothing", "instances": ["x"]},
            'Serving signature name: "nothing" not found in signature def',
        ),
        (
            {"instances": [{"pixels": "x"}]},
            "Failed to process element: 0 key: pixels of 'instances' list. Error: "
            "INVALID_ARGUMENT: JSON object: does not have named input: pixels",
        ),
        ({"instances": ["x", {"examples": "x"}]}, "Expecting value/list but got object at item 1"),
        ({"instances": [{"examples": "x"}, "x"]}, "Expecting object but got list at item 1"),
        ({"instances": [{}]}, "keys must be equal to: examples"),
        ({"instances": [3]}, "Type: Number is not of expected type: string"),
        ({"instances": [None]}, "Type: Null is not of expected type: string"),
        ({"instances": ["x", ["x"]]}, "Expecting shape [] but got: [1]"),
        ({"instances": [["x"]]}, "has shape [1, 1], which the signature's shape [-1] does not"),
        ({"instances": [[["x"], ["x", "y"]]]}, "Encountered list at unexpected size: 2"),
        ({"instances": [{"b64": "x-y"}]}, "Unable to base64 decode"),
        ({"inputs": [""] * 1025}, "has 1025 strings; at most 1024 go into one request"),
        ({"instances": [{"b64": 3}]}, "does not have named input: b64"),
        ({"inputs": {"pixels": ["x"]}}, "Missing named input: examples in 'inputs' object."),
        ({"inputs": "x"}, "has shape [], which the signature's shape [-1] does not allow"),
        (rows(b"no image"), "Unknown image file format."),
    ],
)
def test_a_bad_predict_request_gets_400_and_the_reason(
    shared: InProcess, body: Any, words: str
) -> None:
    status, answer = shared.http(PREDICT, body, method="POST")

    assert status == 400
    assert list(answer) == ["error"]
    assert words in answer["error"]


def test_json_of_any_depth_is_told(shared: InProcess) -> None:
    for depth in range(900, 1004, 4):  # some of which can be read, and not be written again
        body = b'{"instances":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
        assert shared.http(PREDICT, body)[0] == 400


def test_an_unknown_model_is_404(shared: InProcess) -> None:
    status, answer = shared.http("/v1/models/nobody:predict", rows(png(1)))

    assert status == 404
    assert answer["error"] == "Servable not found for request: Latest(nobody)"


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("classify", "Expected one or two output Tensors, found 3"),
        ("regress", "Expected one output Tensor."),
    ],
)
def test_classify_and_regress_are_refused(shared: InProcess, method: str, words: str) -> None:
    status, answer = shared.http(f"/v1/models/pneumonia:{method}", {"examples": [{"x": 1}]})

    assert (status, answer) == (400, {"error": words})


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_malformed(shared: InProcess, method: str) -> None:
    status, answer = shared.http(PREDICT, b"", method=method)

    assert status == 400
    assert "Malformed request" in answer["error"]


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(shared: InProcess) -> None:
    with socket.create_connection(("127.0.0.1", shared.rest_port), WAIT) as connection:
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {10**12}\r\n\r\n"
        connection.sendall(head.encode())

        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_compressed_body_beyond_the_limit_is_refused(shared: InProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared.rest_port, timeout=WAIT)
    bomb = gzip.compress(b" " * (MAX_BODY_BYTES + 2**20), 1)

    connection.request("POST", PREDICT, bomb, {"Content-Encoding": "gzip"})

    assert connection.getresponse().status == 413
    connection.close()


# Prometheus: util/prometheus_exporter.cc, servables/tensorflow/util.cc


def test_the_metrics_page_has_tensorflow_servings_names(shared: InProcess) -> None:
    shared.http(PREDICT, rows(png(51)))
    shared.http(PREDICT, rows(b"no image"))
    shared.predict([png(51)])
    shared.http("/v1/models/never-heard-of:predict", rows(png(51)))
    connection = http.client.HTTPConnection("127.0.0.1", shared.rest_port, timeout=WAIT)
    connection.request("GET", "/monitoring/prometheus/metrics")
    response = connection.getresponse()
    page = response.read().decode()
    connection.close()

    assert response.headers["Content-Type"].startswith("text/plain")
    assert "# TYPE :tensorflow:serving:request_count counter" in page
    for series in (
        r':tensorflow:serving:request_count\{model_name="pneumonia",status="OK"\} \d',
        r':tensorflow:serving:request_count\{model_name="pneumonia",status="INVALID_ARGUMENT"\} \d',
        r':tensorflow:serving:request_latency_count\{API="predict",entrypoint="REST",',
        r':tensorflow:serving:request_latency_count\{API="Predict",entrypoint="GRPC",',
        r":tensorflow:serving:runtime_latency_bucket\{",
        r":tensorflow:cc:saved_model:load_latency\{model_path=",
        r":tensorflow:serving:model_warmup_latency_count\{",
        r":tensorflow:serving:batching_session:processed_batch_size_count \d",
        r":tensorflow:serving:queued_requests 0",
    ):
        assert re.search(series, page), series
    assert "never-heard-of" not in page  # a caller cannot make up new time series


# Pages of other sites: model_servers/http_server.cc, and what browsers send without asking


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://127.0.0.1"])
def test_no_web_page_may_ask(shared: InProcess, origin: str, kind: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared.rest_port, timeout=WAIT)
    headers = {"Origin": origin, "Content-Type": kind}
    connection.request("POST", PREDICT, json.dumps(rows(png(51))), headers)
    response = connection.getresponse()
    answer = json.loads(response.read())

    assert response.status == 403
    assert "--rest_api_enable_cors_support" in answer["error"]
    assert response.getheader("Access-Control-Allow-Origin") is None


def test_the_cors_flag_lets_every_web_page_ask(
    start: Callable[..., InProcess], base_path: Path
) -> None:
    base = f"--model_base_path={base_path}"
    server = start("--model_name=pneumonia", base, "--rest_api_enable_cors_support")
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=WAIT)
    origin = {"Origin": "https://elsewhere.example"}

    for method, headers, body, status in [
        ("OPTIONS", origin, None, 200),
        ("OPTIONS", {}, None, 400),
        ("POST", origin, json.dumps(rows(png(51))), 200),
        ("POST", origin, "no JSON", 400),
    ]:
        connection.request(method, PREDICT, body, headers)
        response = connection.getresponse()
        response.read()
        assert response.status == status
        assert response.getheader("Access-Control-Allow-Origin") == "*"
        assert response.getheader("Access-Control-Allow-Methods") == "POST, GET"
        assert response.getheader("Access-Control-Allow-Headers") == "Content-Type"


def test_an_image_sent_as_an_example_gets_a_hint(shared: InProcess) -> None:
    body = {"instances": [b64(b"\xff\xd8\xff\xe0" + bytes(5000))]}  # as a JPEG starts

    status, answer = shared.http(PREDICT, body)

    assert status == 400
    assert "Could not parse example input" in answer["error"]
    assert "predict_image" in answer["error"]


@pytest.mark.parametrize(
    "name",
    [
        ":tensorflow:serving:request_example_counts",
        ":tensorflow:serving:request_example_count_total",
        ":tensorflow:serving:request_log_count",
        ":tensorflow:serving:model_warmup_records_read",
        ":tensorflow:serving:batching_session:wrapped_run_count",
    ],
)
def test_the_metrics_page_knows_tensorflow_servings_names(shared: InProcess, name: str) -> None:
    page = shared.server._metrics.page().decode()

    assert f"# HELP {name} " in page
