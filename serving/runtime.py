"""What the server runs on: TensorFlow's session API without the rest of it, and the processor."""

import importlib.util
import sys
import types
from pathlib import Path
from typing import Final

BFLOAT16: Final = ("avx512_bf16", "amx_bf16")  # Linux's names of the instructions
_CPUINFO: Final = Path("/proc/cpuinfo")


def use_bare_tensorflow() -> None:
    """Makes `tensorflow.python...` importable without running tensorflow/__init__.py.

    That file imports Keras, the whole public API and much else: 5.5 s, against 1 s for the session
    API that the server needs. To be called first in a process of its own: from then on `import
    tensorflow` yields an empty package. Does nothing where TensorFlow is imported already.

    Raises ModuleNotFoundError where TensorFlow is not installed.
    """
    if "tensorflow" in sys.modules:
        return
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("No module named 'tensorflow'; install the pipeline's extras")
    package = types.ModuleType("tensorflow")
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules["tensorflow"] = package


def has_bfloat16() -> bool:
    """Whether bfloat16 is multiplied in hardware; emulated, it is slower than float32."""
    words = _CPUINFO.read_text(errors="replace").split() if _CPUINFO.exists() else []
    return not set(BFLOAT16).isdisjoint(words)


def has_openvino() -> bool:
    """Whether OpenVINO can be imported."""
    return importlib.util.find_spec("openvino") is not None
