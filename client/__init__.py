"""The client of a pneumonia model server; nothing is imported before it is used.

from client import PneumoniaClient

with PneumoniaClient("localhost:8500") as server:
    print(server.predict("xray.dcm").probability)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from client.aio import AsyncPneumoniaClient
    from client.channel import Tls
    from client.client import PneumoniaClient
    from client.errors import (
        DeadlineError,
        ImageRefusedError,
        ModelMissingError,
        ServerAwayError,
        ServerBusyError,
        ServerError,
    )
    from client.images import ImageError, XRay, read
    from client.results import Metadata, Outcome, Prediction, Signature, VersionStatus

_MODULES = {
    "client.aio": ("AsyncPneumoniaClient",),
    "client.channel": ("Tls",),
    "client.client": ("PneumoniaClient",),
    "client.errors": (
        "DeadlineError",
        "ImageRefusedError",
        "ModelMissingError",
        "ServerAwayError",
        "ServerBusyError",
        "ServerError",
    ),
    "client.images": ("ImageError", "XRay", "read"),
    "client.results": ("Metadata", "Outcome", "Prediction", "Signature", "VersionStatus"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "AsyncPneumoniaClient",
    "DeadlineError",
    "ImageError",
    "ImageRefusedError",
    "Metadata",
    "ModelMissingError",
    "Outcome",
    "PneumoniaClient",
    "Prediction",
    "ServerAwayError",
    "ServerBusyError",
    "ServerError",
    "Signature",
    "Tls",
    "VersionStatus",
    "XRay",
    "read",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'client' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
