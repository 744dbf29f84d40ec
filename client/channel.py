"""How the connection to the model server is set: encryption, retries, keepalive, message sizes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

TIMEOUT: Final = 30.0  # seconds for one call, its retries included

_LARGEST_ANSWER: Final = 64 * 2**20
_LARGEST_REQUEST: Final = 256 * 2**20  # the reader's caps keep any X-ray below

_RESOLVED: Final = "dns:///"
_CALLS: Final = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.2s",
                "backoffMultiplier": 2,
                "maxBackoff": "2s",
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ],
}

OPTIONS: Final[list[tuple[str, Any]]] = [
    ("grpc.service_config", json.dumps(_CALLS)),
    # Above this size gRPC forgets the request and silently does not retry; 256 kB by default.
    ("grpc.per_rpc_retry_buffer_size", _LARGEST_REQUEST),
    ("grpc.max_send_message_length", _LARGEST_REQUEST),
    ("grpc.max_receive_message_length", _LARGEST_ANSWER),
    # A refused connection is tried anew within the retries, and soon after a server comes back.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # Servers that were not told otherwise hang up on a client that pings more often for long.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]


@dataclass(frozen=True)
class Tls:
    """Files for an encrypted connection, PEM.

    Attributes:
        ca: the authority to trust, else the system's.
        certificate: the client's own, for mutual TLS.
        key: the certificate's.
        server_name: the name in the server's certificate, where the address is another.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where only one half of the client's own certificate is named."""
        if (self.certificate is None) != (self.key is None):
            raise ValueError("mutual TLS needs both a certificate and its key")

    def credentials(self) -> grpc.ChannelCredentials:
        """Reads the files; raises OSError where one cannot be read."""
        ca, key, certificate = (
            path.read_bytes() if path else None for path in (self.ca, self.key, self.certificate)
        )
        return grpc.ssl_channel_credentials(ca, key, certificate)


def open_channel(module: Any, target: str, tls: Tls | None) -> Any:
    """Opens a channel to a server; where it has several addresses, calls take turns among them.

    Args:
        module: grpc or grpc.aio.
        target: "host:port" or "dns:///host:port".
        tls: the files for encryption; None speaks plain text.

    Returns:
        The channel, of the module's kind.

    Raises:
        ValueError: the target is a URL: gRPC would wait for a host of that name.
        OSError: a file of `tls` cannot be read.
    """
    host = target.removeprefix(_RESOLVED)
    if "://" in host or ":" not in host:
        raise ValueError(f"server '{target}': write host:port, such as localhost:8500")
    if tls is None:
        return module.insecure_channel(target, options=OPTIONS)
    options = list(OPTIONS)
    if tls.server_name:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return module.secure_channel(target, tls.credentials(), options=options)
