"""Both clients against a server that answers, fails, hangs or is not there."""

import asyncio
import datetime
import io
import ipaddress
import threading
import time
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from client import (
    AsyncPneumoniaClient,
    DeadlineError,
    ImageError,
    ImageRefusedError,
    ModelMissingError,
    PneumoniaClient,
    ServerAwayError,
    ServerBusyError,
    ServerError,
    Tls,
    XRay,
    read,
)
from tests.client.conftest import jpeg
from tests.client.fake_server import THRESHOLD, VERSION, FakeModel, blob, serve

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
BUSY = grpc.StatusCode.RESOURCE_EXHAUSTED


class Awaited:
    """The asyncio client behind the synchronous one's calls, so that one test speaks for both."""

    def __init__(self, target, **options):
        self._loop = asyncio.new_event_loop()
        self._client = self._run(self._make(target, options))

    async def _make(self, target, options):
        return AsyncPneumoniaClient(target, **options)

    def _run(self, awaitable):
        return self._loop.run_until_complete(awaitable)

    def predict(self, image, **options):
        return self._run(self._client.predict(image, **options))

    def status(self):
        return self._run(self._client.status())

    def metadata(self):
        return self._run(self._client.metadata())

    def stream(self, images, **options):
        async def collect():
            return [outcome async for outcome in self._client.stream(images, **options)]

        return iter(self._run(collect()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._run(self._client.close())
        self._loop.close()


@pytest.fixture(params=[PneumoniaClient, Awaited], ids=["sync", "asyncio"])
def make(request):
    return request.param


@pytest.fixture
def client(make, port):
    with make(f"127.0.0.1:{port}", timeout=20) as client:
        yield client


def test_a_prediction_says_all_that_the_model_answered(client):
    result = client.predict(jpeg(200))
    assert result.probability == pytest.approx(200 / 255, abs=0.01)
    assert result.threshold == pytest.approx(THRESHOLD)
    assert (result.label, result.positive, result.decision) == (1, True, "PNEUMONIA")
    assert result.version == VERSION
    assert 0 < result.latency < 20
    assert (result.quality, result.warning, result.heatmap, result.overlay) == (None,) * 4


def test_a_dark_film_is_normal(client):
    assert client.predict(jpeg(20)).decision == "NORMAL"


def test_the_cam_comes_as_numpy_and_png(client, model):
    result = client.predict(jpeg(), cam=True)
    assert np.allclose(result.heatmap, blob())
    assert result.heatmap.dtype == np.float32
    assert result.overlay.startswith(b"\x89PNG")
    assert model.calls == ["cam"]


def test_a_label_that_the_server_does_not_know_is_no_fault_of_the_image(make, port):
    with make(f"127.0.0.1:{port}", label="gone") as client, pytest.raises(ModelMissingError):
        client.predict(jpeg())


def test_the_heat_map_comes_without_its_overlay_where_nobody_looks_at_that(port, model):
    wanted = ("probability", "threshold", "label", "heatmap")
    with PneumoniaClient(f"127.0.0.1:{port}") as client:
        result = client.predict(jpeg(), cam=True, outputs=wanted)
    assert np.allclose(result.heatmap, blob())
    assert result.overlay is None


@pytest.mark.parametrize(("quality", "warned"), [(0.2, True), (0.5, False), (0.9, False)])
def test_a_picture_unlike_the_training_set_is_warned_of(client, model, quality, warned):
    model.quality = quality
    assert bool(client.predict(jpeg()).warning) is warned


def test_paths_bytes_files_and_read_xrays_are_the_same_to_it(client, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(jpeg())
    sources = [path, str(path), jpeg(), io.BytesIO(jpeg()), read(jpeg())]
    assert isinstance(sources[-1], XRay)
    answers = {client.predict(source).probability for source in sources}
    assert len(answers) == 1


def test_a_bad_file_is_refused_before_anything_is_sent(client, model):
    with pytest.raises(ImageError):
        client.predict(b"no image")
    assert model.calls == []


def test_many_megabytes_pass(client, noise_png):
    assert 0.4 < client.predict(noise_png).probability < 0.6


@pytest.mark.parametrize("status", [UNAVAILABLE, BUSY])
def test_away_and_busy_are_tried_again(client, model, status, noise_png):
    model.failures.extend([status, status])
    client.predict(noise_png)
    assert len(model.calls) == 3


@pytest.mark.parametrize(
    ("status", "error"), [(UNAVAILABLE, ServerAwayError), (BUSY, ServerBusyError)]
)
def test_retries_end(client, model, status, error):
    model.failures.extend([status] * 20)
    with pytest.raises(error):
        client.predict(jpeg())
    assert len(model.calls) == 4


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, ImageRefusedError),
        (grpc.StatusCode.NOT_FOUND, ModelMissingError),
        (grpc.StatusCode.INTERNAL, ServerError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineError),
        (grpc.StatusCode.FAILED_PRECONDITION, ModelMissingError),
    ],
)
def test_nothing_else_is_tried_again(client, model, status, error):
    model.failures.append(status)
    with pytest.raises(error) as caught:
        client.predict(jpeg())
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert len(model.calls) == 1


def test_a_slow_server_meets_the_deadline(make, model, port):
    model.delay = 5
    start = time.monotonic()
    with make(f"127.0.0.1:{port}", timeout=0.3) as client, pytest.raises(DeadlineError):
        client.predict(jpeg())
    assert time.monotonic() - start < 4


def test_no_server_is_said_in_one_line_with_the_address(make, unused_port):
    with make(f"127.0.0.1:{unused_port}") as client, pytest.raises(ServerAwayError) as caught:
        client.status()
    assert f"127.0.0.1:{unused_port}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_comes_back_is_found_again(make, model, unused_port):
    with make(f"127.0.0.1:{unused_port}", timeout=20) as client:
        with pytest.raises(ServerAwayError):
            client.predict(jpeg())
        with serve(model, port=unused_port):
            for _ in range(5):  # the connection waits up to two seconds between tries
                try:
                    assert client.predict(jpeg()).positive
                    break
                except ServerAwayError:
                    continue
            else:
                pytest.fail("never found again")


@pytest.mark.parametrize("target", ["http://localhost:8501", "localhost"])
def test_an_address_that_is_none_is_refused(target):
    with pytest.raises(ValueError, match="host:port"):
        PneumoniaClient(target)


def test_a_name_that_stands_for_several_servers_may_say_so(port):
    with PneumoniaClient(f"dns:///localhost:{port}") as client:
        assert client.predict(jpeg()).positive


@pytest.mark.parametrize("missing", ["probability", "threshold", "label"])
def test_another_model_is_recognised(client, model, missing):
    model.leave_out = (missing,)
    with pytest.raises(ServerError, match=missing):
        client.predict(jpeg())


def test_a_named_version_is_asked_for(make, port):
    with make(f"127.0.0.1:{port}", version=7) as client:
        assert client.predict(jpeg()).version == 7


def test_an_unknown_model_is_said_to_be_missing(make, port):
    with (
        make(f"127.0.0.1:{port}", model="cats") as client,
        pytest.raises(ModelMissingError, match="cats"),
    ):
        client.predict(jpeg())


def test_status_lists_the_newest_version_first(client):
    assert [(entry.version, entry.state) for entry in client.status()] == [
        (VERSION, "AVAILABLE"),
        (VERSION - 1, "END"),
    ]


def test_metadata_names_the_signatures(client):
    metadata = client.metadata()
    assert (metadata.name, metadata.version) == ("pneumonia", VERSION)
    signature = metadata.signatures["predict_image"]
    assert signature.inputs["image_bytes"].dtype == "string"
    assert signature.outputs["probability"].shape == (-1,)


def test_a_stream_keeps_the_order_and_answers_beside_a_bad_file(client):
    brightness = list(range(10, 250, 10))
    images = [jpeg(value) for value in brightness]
    images[5] = b"broken"
    outcomes = list(client.stream(images, most=3))
    assert [outcome.source for outcome in outcomes] == images
    assert isinstance(outcomes[5].error, ImageError)
    answered = [outcome.prediction.probability for outcome in outcomes if outcome.prediction]
    assert answered == sorted(answered)
    assert len(answered) == len(images) - 1


def test_a_stream_holds_few_images_at_a_time(port):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield jpeg()

    with PneumoniaClient(f"127.0.0.1:{port}") as client:
        outcomes = client.stream(endless(), most=2)
        for _ in range(10):
            next(outcomes)
        outcomes.close()
    assert taken <= 10 + 2 * 2


def test_a_stream_asks_no_more_at_once_than_told(make, model, port):
    running = SimpleNamespace(now=0, most=0)
    lock = threading.Lock()
    answer = model.predict

    def counted(request, context):
        with lock:
            running.now += 1
            running.most = max(running.most, running.now)
        time.sleep(0.02)
        try:
            return answer(request, context)
        finally:
            with lock:
                running.now -= 1

    model.predict = counted
    with serve(model) as port, make(f"127.0.0.1:{port}") as client:
        assert len(list(client.stream([jpeg()] * 12, most=3))) == 12
    assert running.most <= 3


def certificate(name, issuer=None, issuer_key=None):
    """A certificate for 127.0.0.1 and its key, PEM; its own authority unless one signs it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    names = [x509.DNSName("radiology.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - day)
        .not_valid_after(today + day)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(issuer_key or key, hashes.SHA256())
    )
    return signed, key


def pem(signed, key):
    return signed.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """An authority, and a server's and a client's certificates that it signed, as files."""
    folder = tmp_path_factory.mktemp("keys")
    authority, authority_key = certificate("authority")
    pairs = {
        "ca": (authority, authority_key),
        "server": certificate("server", authority, authority_key),
        "client": certificate("client", authority, authority_key),
    }
    files = {}
    for name, pair in pairs.items():
        for kind, content in zip(("pem", "key"), pem(*pair), strict=True):
            files[f"{name}.{kind}"] = folder / f"{name}.{kind}"
            files[f"{name}.{kind}"].write_bytes(content)
    return files


@pytest.fixture
def mutual_port(keys):
    credentials = grpc.ssl_server_credentials(
        [(keys["server.key"].read_bytes(), keys["server.pem"].read_bytes())],
        keys["ca.pem"].read_bytes(),
        require_client_auth=True,
    )
    with serve(FakeModel(), credentials) as port:
        yield port


def test_mutual_tls_lets_the_known_client_in(make, keys, mutual_port):
    tls = Tls(keys["ca.pem"], keys["client.pem"], keys["client.key"])
    with make(f"127.0.0.1:{mutual_port}", tls=tls) as client:
        assert client.predict(jpeg()).positive


def test_mutual_tls_keeps_others_out(make, keys, mutual_port):
    for tls in (Tls(keys["ca.pem"]), None):
        with (
            make(f"127.0.0.1:{mutual_port}", tls=tls) as client,
            pytest.raises(ServerAwayError),
        ):
            client.predict(jpeg())


def test_a_server_of_an_unknown_authority_is_not_trusted(make, keys, mutual_port):
    tls = Tls(keys["client.pem"], keys["client.pem"], keys["client.key"])
    with make(f"127.0.0.1:{mutual_port}", tls=tls) as client, pytest.raises(ServerAwayError):
        client.predict(jpeg())


def test_the_certificate_may_carry_another_name(make, keys, mutual_port):
    files = (keys["ca.pem"], keys["client.pem"], keys["client.key"])
    with make(f"localhost:{mutual_port}", tls=Tls(*files, server_name="radiology.test")) as client:
        assert client.predict(jpeg()).positive
    with (
        make(f"localhost:{mutual_port}", tls=Tls(*files)) as client,
        pytest.raises(ServerAwayError),
    ):
        client.predict(jpeg())


def test_half_a_client_certificate_is_refused(keys):
    with pytest.raises(ValueError, match="both"):
        Tls(keys["ca.pem"], certificate=keys["client.pem"])
