"""A file-based ExampleGen for chest X-rays, on Beam.

The component itself is imported when it is asked for: it takes seconds, and who only wants to know
what a data set holds needs no TFX.
"""

from typing import TYPE_CHECKING, Any

from components.xray_example_gen.errors import IngestError
from components.xray_example_gen.listing import fingerprint

if TYPE_CHECKING:
    from components.xray_example_gen.component import IngestReport, XrayExampleGen

__all__ = ["IngestError", "IngestReport", "XrayExampleGen", "fingerprint"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from components.xray_example_gen import component

    return getattr(component, name)
