"""bfloat16 arithmetic where the processor has it: half the time, and weights that are as good.

oneDNN multiplies in bfloat16 and adds up in float32; variables, losses and updates stay float32.
Only training's own work is done so: what is served, and what the threshold is chosen on, is
float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from components.trainer.settings import TrainConfig

_OPTION = "auto_mixed_precision_onednn_bfloat16"
_INSTRUCTIONS = {"avx512_bf16", "amx_bf16"}  # without them bfloat16 is emulated, and slower
_PROCESSOR = Path("/proc/cpuinfo")


def resolve(config: TrainConfig) -> TrainConfig:
    """The configuration with `auto` replaced by what this processor is fastest with."""
    if config.precision != "auto":
        return config
    flags = _PROCESSOR.read_text(errors="replace").split() if _PROCESSOR.exists() else []
    fast = bool(_INSTRUCTIONS.intersection(flags))
    return replace(config, precision="bfloat16" if fast else "float32")


@contextmanager
def arithmetic(precision: str) -> Iterator[None]:
    """Within it, a tf.function multiplies in `bfloat16` or `float32`; afterwards as before."""
    before = tf.config.optimizer.get_experimental_options().get(_OPTION, False)
    tf.config.optimizer.set_experimental_options({_OPTION: precision == "bfloat16"})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_OPTION: before})
