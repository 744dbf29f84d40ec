"""The page's API: what it answers, refuses, and never lets out."""

import base64
import io
import json
import logging
import re
import zlib

import grpc
import numpy as np
import pydicom
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation as DigitalXRay
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from client import PneumoniaClient
from client.request_log import outcomes
from client.request_log.writer import RequestLog
from client.results import UNFAMILIAR, UNUSUAL
from client.web.app import SAMPLES, create_app
from client.web.hosts import Hosts
from client.web.limits import PageLimits
from client.web.opinions import Opinions
from client.web.prefix import Prefixed
from tests.client.conftest import jpeg
from tests.client.fake_server import THRESHOLD, VERSION, blob
from tests.client.web.conftest import BYTES


def post(page, content, **headers):
    return page.post("/api/predict", data=content, headers=BYTES | headers)


@pytest.fixture
def check(page):
    """Checks a response against the OpenAPI document that the page serves."""
    document = page.get("/api/openapi.json").json
    schemas = json.loads(json.dumps(document["components"]).replace("#/components", "#"))

    def check(response, path="/api/predict", method="post"):
        described = document["paths"][path][method]["responses"][str(response.status_code)]
        schema = described["content"]["application/json"]["schema"]
        text = json.dumps(schema).replace("#/components", "#")
        Draft202012Validator(schemas | json.loads(text)).validate(response.json)
        return response

    return check


def picture(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def png(array, **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG", **options)
    return file.getvalue()


def dicom():
    """A dark film whose every identifying field says so."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRay
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film = pydicom.Dataset()
    film.file_meta = meta
    film.SOPClassUID, film.SOPInstanceUID = DigitalXRay, meta.MediaStorageSOPInstanceUID
    film.PatientName, film.PatientID = "SECRET^PATIENT", "SECRET-4711"
    film.PatientBirthDate, film.Modality = "19700101", "DX"
    film.PhotometricInterpretation, film.SamplesPerPixel = "MONOCHROME2", 1
    film.Rows, film.Columns = 40, 60
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    film.PixelData = np.tile(np.linspace(0, 4095, 60), (40, 1)).astype("<u2").tobytes()
    file = io.BytesIO()
    pydicom.dcmwrite(file, film, enforce_file_format=True)
    return file.getvalue()


def test_the_document_is_valid_openapi(page):
    validate(page.get("/api/openapi.json").json)


def test_an_xray_is_answered_with_its_heat_map(page, check):
    answer = check(post(page, jpeg(200))).json
    assert answer["decision"] == "PNEUMONIA"
    assert answer["probability"] == pytest.approx(200 / 255, abs=0.01)
    assert answer["threshold"] == pytest.approx(THRESHOLD)
    assert answer["version"] == VERSION
    assert (answer["image"]["width"], answer["image"]["height"]) == (64, 48)
    assert np.abs(picture(answer["heatmap_png"]) / 255 - blob()).max() < 0.003
    assert picture(answer["overlay_png"]).shape == (48, 64, 3)
    assert answer["display_png"] is None
    assert answer["warning"] is None


@pytest.mark.parametrize("kind", ["sixteen bits", "turned", "dicom"])
def test_what_a_browser_shows_otherwise_comes_back_as_sent_to_the_model(page, check, kind):
    ramp = np.tile(np.linspace(0, 255, 60), (40, 1))
    uploads = {
        "sixteen bits": lambda: png((ramp * 257).astype(np.uint16)),
        "turned": lambda: _turned(ramp.astype(np.uint8)),
        "dicom": dicom,
    }
    shown = picture(check(post(page, uploads[kind]())).json["display_png"]).astype(float)
    expected = np.rot90(ramp, -1) if kind == "turned" else ramp
    assert shown.shape == expected.shape
    assert np.abs(shown - expected).max() < 6


def _turned(array):
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise shows it upright
    Image.fromarray(array).save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


def test_a_large_film_comes_back_at_a_size_to_show(page, check):
    answer = check(post(page, png(np.zeros((2500, 1000), np.uint16)))).json
    assert picture(answer["display_png"]).shape[:2] == (2048, 819)
    assert answer["image"]["height"] == 2500


def test_a_model_without_familiarity_calls_no_film_another_body_part(page, check, model):
    model.quality = 0.1
    assert check(post(page, jpeg())).json["warning"] == UNFAMILIAR


def test_an_unusual_image_is_warned_of(page, check, model):
    model.quality, model.familiarity = 0.1, 0.9
    answer = check(post(page, jpeg())).json
    assert answer["warning"] == UNUSUAL
    assert answer["quality"] == pytest.approx(0.1)


def test_a_film_unlike_trainings_is_told_from_one_that_is_no_chest(page, check, model):
    model.quality, model.familiarity, model.lungs = 0.9, 0.1, blob()
    answer = check(post(page, jpeg())).json
    assert answer["warning"] == UNFAMILIAR
    assert answer["familiarity"] == pytest.approx(0.1)
    assert np.abs(picture(answer["lungs_png"]) / 255 - blob()).max() < 0.003


def test_a_model_that_says_nothing_of_lungs_is_answered_for(page, check):
    answer = check(post(page, jpeg())).json
    assert (answer["quality"], answer["familiarity"], answer["lungs_png"]) == (None,) * 3


def test_patient_data_is_in_no_response_header_or_log(page, check, caplog):
    caplog.set_level(logging.DEBUG)
    film = dicom()
    response = check(post(page, film))
    broken = check(post(page, film[:-1000]))
    lost = page.get("/SECRET%5EPATIENT.dcm")
    assert (response.status_code, broken.status_code, lost.status_code) == (200, 422, 404)
    for answer in (response, broken):
        assert "SECRET" not in answer.text + str(answer.headers)
        assert "19700101" not in answer.text
    shown = base64.b64decode(response.json["display_png"])
    overlay = base64.b64decode(response.json["overlay_png"])
    assert b"SECRET" not in shown + overlay
    assert "/api/predict 200" in caplog.text
    assert "SECRET" not in caplog.text


def bomb():
    """A PNG of 60000 x 60000 black pixels in few bytes."""

    def chunk(kind, data):
        check = zlib.crc32(kind + data)
        return len(data).to_bytes(4) + kind + data + check.to_bytes(4)

    size = (60_000).to_bytes(4)
    header = size + size + bytes([8, 0, 0, 0, 0])
    rows = zlib.compress(bytes(10**6))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "not_an_image"),
        (b"plain text", 422, "not_an_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", 422, "not_an_image"),
        (b"<!doctype html><script>alert(1)</script>", 422, "not_an_image"),
        (jpeg()[:300], 422, "truncated"),
        (bomb(), 413, "too_large"),
    ],
    ids=["empty", "text", "svg", "html", "cut off", "bomb"],
)
def test_what_is_no_usable_xray_is_refused_and_never_sent_on(
    page, check, model, content, status, code
):
    response = check(post(page, content))
    assert (response.status_code, response.json["error"]["code"]) == (status, code)
    assert response.mimetype == "application/json"
    assert model.calls == []


def test_too_many_bytes_are_refused(make_page, check):
    page = make_page(upload_bytes=1000)
    response = check(post(page, bytes(1001)))
    assert response.status_code == 413


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
)
def test_what_another_sites_page_can_send_is_refused(page, check, kind):
    response = check(page.post("/api/predict", data=jpeg(), headers={"Content-Type": kind}))
    assert response.status_code == 415
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, 422, "image_refused"),
        (grpc.StatusCode.NOT_FOUND, 503, "model_missing"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 503, "server_busy"),
        (grpc.StatusCode.UNAVAILABLE, 503, "server_away"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 504, "deadline_exceeded"),
        (grpc.StatusCode.INTERNAL, 502, "server_error"),
    ],
)
def test_the_servers_failures_are_told_apart_without_its_words(
    page, check, model, failure, status, code
):
    model.failures.extend([failure] * 10)
    response = check(post(page, jpeg()))
    assert (response.status_code, response.json["error"]["code"]) == (status, code)
    assert "as the test asked" not in response.text
    assert "127.0.0.1" not in response.text
    assert ("Retry-After" in response.headers) is (status == 503)


def test_a_model_without_heat_map_is_a_failure_of_the_server(page, check, model):
    model.leave_out = ("heatmap",)
    assert check(post(page, jpeg())).status_code == 502


def test_one_address_is_slowed_down(make_page, check):
    page = make_page(burst=2, per_minute=6)
    responses = [check(post(page, jpeg())) for _ in range(3)]
    assert [response.status_code for response in responses] == [200, 200, 429]
    assert 1 <= int(responses[-1].headers["Retry-After"]) <= 10


def test_a_full_page_turns_away_and_a_place_is_given_back_after_failures(make_page, check):
    full = make_page(at_once=0)
    response = check(post(full, jpeg()))
    assert (response.status_code, response.json["error"]["code"]) == (503, "page_busy")
    page = make_page(at_once=1)
    assert [post(page, content).status_code for content in (b"x", b"y", jpeg())] == [422, 422, 200]


def test_a_fault_of_the_page_is_logged_without_its_message(page, monkeypatch, caplog):
    message = "SECRET^PATIENT"  # the log quotes the line that raises

    def fail(*_, **__):
        raise RuntimeError(message)

    monkeypatch.setattr("client.web.app.read", fail)
    response = post(page, jpeg())
    assert (response.status_code, response.json["error"]["code"]) == (500, "page_failed")
    assert "RuntimeError" in caplog.text
    assert "SECRET" not in caplog.text + response.text


def test_the_servers_state_is_told(page, make_page, check, model, unused_port):
    def state(page):
        return check(page.get("/api/server"), "/api/server", "get").json

    assert state(page) == {"state": "ready", "version": VERSION}
    assert state(make_page(unused_port)) == {"state": "server_away", "version": None}
    model.failures.append(grpc.StatusCode.NOT_FOUND)
    assert state(page)["state"] == "model_missing"


def test_a_server_that_hangs_does_not_hold_the_page(page, model):
    model.delay = 5
    assert page.get("/api/server").json["state"] == "deadline_exceeded"


@pytest.mark.parametrize(
    "host", ["elsewhere.example", "127.0.0.1.elsewhere.example", "localhost.", "", "192.0.2.7"]
)
def test_a_name_that_is_not_the_pages_is_answered_nothing(page, check, host):
    """A page of another site can make its own name lead here; Host still says that name."""
    for method, path in [("get", "/"), ("get", "/api/server"), ("post", "/api/predict")]:
        response = page.open(path, method=method.upper(), headers=BYTES | {"Host": host})
        if host == "localhost.":  # the same name, fully qualified
            assert response.status_code != 403
        else:
            assert response.status_code in (400, 403)
            assert "Pneumonia in chest" not in response.text
    if host == "elsewhere.example":
        check(post(page, jpeg(), Host=host))


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "127.0.0.1:5000", "[::1]:5000"])
def test_this_machines_own_names_are_answered(page, host):
    assert page.get("/", headers={"Host": host}).status_code == 200


def test_names_can_be_allowed(make_page):
    named = make_page(hosts=Hosts("10.0.0.1", ["Reading.Hospital.example"]))
    for host in ("reading.hospital.example:443", "10.0.0.1:5000", "localhost"):
        assert named.get("/", headers={"Host": host}).status_code == 200
    assert named.get("/", headers={"Host": "hospital.example"}).status_code == 403
    origin = "https://reading.hospital.example"  # the proxy has put its own name for Host
    assert post(named, jpeg(), Host="10.0.0.1:5000", Origin=origin).status_code == 200


def test_on_every_address_an_address_is_a_name_and_a_foreign_name_is_not(make_page):
    page = make_page(hosts=Hosts("0.0.0.0"))
    assert page.get("/", headers={"Host": "192.0.2.7:5000"}).status_code == 200
    assert page.get("/", headers={"Host": "[2001:db8::7]:5000"}).status_code == 200
    assert page.get("/", headers={"Host": "elsewhere.example"}).status_code == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost", 200),
        ("http://localhost:3000", 403),
        ("https://elsewhere.example", 403),
        ("null", 403),
    ],
)
def test_only_the_pages_own_origin_may_send_films(page, check, origin, status):
    assert check(post(page, jpeg(), Origin=origin)).status_code == status


@pytest.mark.parametrize("how", ["flag", "header", "header, path stripped"])
def test_below_a_proxys_path_everything_is_found(make_page, how):
    page = make_page()
    page.application.wsgi_app = Prefixed(
        page.application.wsgi_app, "/pneumonia" if how == "flag" else ""
    )
    headers = {} if how == "flag" else {"X-Forwarded-Prefix": "/pneumonia/"}
    below = "" if how == "header, path stripped" else "/pneumonia"

    for root in ("", "/"):
        text = page.get(below + root or "/", headers=headers).text
        links = re.findall(r'(?:href|src|data-sample)="([^"#]+)', text)
        assert len(links) > 10
        assert all(link.startswith("/pneumonia/") for link in links)
    for link in links:
        path = link if below else link.removeprefix("/pneumonia")
        assert page.get(path, headers=headers).status_code == 200, link
    document = page.get(f"{below}/api/openapi.json", headers=headers).json
    assert document["servers"] == [{"url": "/pneumonia"}]
    assert page.get(f"{below}/health", headers=headers).status_code == 200
    answer = page.post(f"{below}/api/predict", data=jpeg(), headers=BYTES | headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("prefix", ["//elsewhere.example", "https://x.example", '/"><script>', "x"])
def test_a_prefix_that_is_no_plain_path_is_passed_over(make_page, prefix):
    page = make_page()
    page.application.wsgi_app = Prefixed(page.application.wsgi_app)
    text = page.get("/", headers={"X-Forwarded-Prefix": prefix}).text
    assert 'href="/static/style.css"' in text
    assert "elsewhere.example" not in text


def test_health_needs_no_model_server(make_page, unused_port):
    assert make_page(unused_port).get("/health").json == {"status": "ok"}


@pytest.mark.parametrize("path", ["/", "/health", "/api/server", "/no/such", "/static/style.css"])
def test_every_answer_carries_the_headers(page, path):
    headers = page.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_answers_about_xrays_are_not_cached(page):
    assert post(page, jpeg()).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2f..%2fimages.py"]
)
def test_no_file_outside_the_static_folder_is_served(page, path):
    assert page.get(path).status_code == 404


def test_the_page_says_what_it_is_not(page):
    assert "Research use only, not a medical device" in page.get("/").text


def test_samples_are_small_xrays_that_the_model_answers(page):
    for name in SAMPLES:
        sample = page.get(f"/static/samples/{name}").data
        assert len(sample) < 150_000
        assert post(page, sample).status_code == 200


def test_an_opinion_is_kept_for_a_film_that_was_answered(port, tmp_path):
    with PneumoniaClient(f"127.0.0.1:{port}", log=RequestLog(tmp_path / "log" / "a")) as server:
        page = create_app(server, PageLimits(), opinions=Opinions(tmp_path / "log")).test_client()
        film = page.post("/api/predict", data=jpeg(200), headers=BYTES).json
        sha256 = film["image"]["sha256"]
        assert page.post("/api/opinion", json={"sha256": sha256, "label": 0}).json == {
            "status": "kept"
        }
        assert page.post("/api/opinion", json={"sha256": "a" * 64, "label": 1}).status_code == 404
        for body in ({"sha256": sha256, "label": 2}, {"sha256": sha256}, [], {"label": True}):
            assert page.post("/api/opinion", json=body).status_code == 400
        assert page.post("/api/opinion", data="{}").status_code == 415
        stranger = {"Origin": "http://elsewhere.example"}
        refused = page.post("/api/opinion", json={"sha256": sha256, "label": 1}, headers=stranger)
        assert refused.status_code == 403
        assert "answers are logged" in page.get("/").text
    kept = outcomes.read(tmp_path / "log")
    assert kept == {sha256: outcomes.Outcome(sha256, 0, outcomes.FROM_PAGE)}


def test_a_page_that_keeps_no_opinions_asks_for_none(page):
    assert 'id="opinion"' not in page.get("/").text
    assert page.post("/api/opinion", json={"sha256": "a" * 64, "label": 1}).status_code == 404
    assert "Nothing that you send is stored" in page.get("/").text
