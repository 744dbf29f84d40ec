"""gRPC over TLS, by an SSLConfig. (model_servers/server.cc, BuildServerCredentials)"""

import datetime
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.serving.conftest import WAIT, InProcess
from tests.serving.tiny_model import png


def certificate() -> tuple[str, str]:
    """A key and a certificate for localhost that nobody else vouches for, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    host = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(host, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private = key.private_bytes(pem, plain, serialization.NoEncryption())
    return private.decode(), made.public_bytes(pem).decode()


def quoted(text: str) -> str:
    return '"' + text.replace("\n", "\\n") + '"'


@pytest.mark.parametrize("client_verify", [False, True])
def test_grpc_over_tls(
    start: Callable[..., InProcess], base_path: Path, tmp_path: Path, client_verify: bool
) -> None:
    key, cert = certificate()
    file = tmp_path / "ssl.config"
    file.write_text(
        f"server_key: {quoted(key)} server_cert: {quoted(cert)} custom_ca: {quoted(cert)} "
        f"client_verify: {str(client_verify).lower()}"
    )
    own = grpc.ssl_channel_credentials(cert.encode(), key.encode(), cert.encode())
    server = start(
        "--model_name=pneumonia",
        f"--model_base_path={base_path}",
        f"--ssl_config_file={file}",
        credentials=own,
    )

    assert server.predict([png(51)]).model_spec.version.value == 1
    anonymous = grpc.ssl_channel_credentials(cert.encode())
    with grpc.secure_channel(f"localhost:{server.flags.port}", anonymous) as stranger:
        ready = grpc.channel_ready_future(stranger)
        if client_verify:
            with pytest.raises(grpc.FutureTimeoutError):
                ready.result(1.0)
        else:
            ready.result(WAIT)
