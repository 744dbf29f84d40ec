"""What this machine's processor can do."""

from pathlib import Path
from typing import Final

BFLOAT16: Final = ("avx512_bf16", "amx_bf16")  # Linux's names of the instructions
_TOLD = Path("/proc/cpuinfo")


def has_bfloat16() -> bool:
    """Whether bfloat16 is multiplied in hardware; emulated, it is slower than float32."""
    told = _TOLD.read_text(errors="replace").split() if _TOLD.exists() else []
    return not set(BFLOAT16).isdisjoint(told)
