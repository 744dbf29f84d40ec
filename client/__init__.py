"""The client of a pneumonia model server; nothing is imported before it is used.

from client import PneumoniaClient

with PneumoniaClient("localhost:8500") as server:
    print(server.predict("xray.dcm").probability)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from client.aio import AsyncPneumoniaClient as AsyncPneumoniaClient
    from client.channel import Tls as Tls
    from client.client import PneumoniaClient as PneumoniaClient
    from client.errors import (
        DeadlineError as DeadlineError,
    )
    from client.errors import (
        ImageRefusedError as ImageRefusedError,
    )
    from client.errors import (
        ModelMissingError as ModelMissingError,
    )
    from client.errors import (
        ServerAwayError as ServerAwayError,
    )
    from client.errors import (
        ServerBusyError as ServerBusyError,
    )
    from client.errors import (
        ServerError as ServerError,
    )
    from client.images import (
        ImageError as ImageError,
    )
    from client.images import (
        XRay as XRay,
    )
    from client.images import (
        read as read,
    )
    from client.results import (
        Metadata as Metadata,
    )
    from client.results import (
        Outcome as Outcome,
    )
    from client.results import (
        Prediction as Prediction,
    )
    from client.results import (
        Signature as Signature,
    )
    from client.results import (
        VersionStatus as VersionStatus,
    )

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

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'client' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
