"""Training multiplies in bfloat16 where that is faster; nothing else does."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.trainer import precision
from components.trainer.settings import TrainConfig


@pytest.mark.parametrize(
    ("flags", "found"),
    [("fpu avx2 avx512_bf16", "bfloat16"), ("fpu amx_bf16", "bfloat16"), ("fpu avx2", "float32")],
)
def test_the_processor_decides(
    flags: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags\t\t: {flags}\n")
    monkeypatch.setattr(precision, "_PROCESSOR", tmp_path / "cpuinfo")
    assert precision.resolve(TrainConfig()).precision == found
    for asked in ("float32", "bfloat16"):
        assert precision.resolve(TrainConfig(precision=asked)).precision == asked


def test_a_machine_that_does_not_tell_stays_at_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_PROCESSOR", tmp_path / "missing")
    assert precision.resolve(TrainConfig()).precision == "float32"


def test_one_function_is_exact_outside_and_close_within() -> None:
    images = tf.random.stateless_uniform([4, 32, 32, 16], [1, 2])
    kernel = tf.random.stateless_normal([3, 3, 16, 32], [3, 4])

    @tf.function
    def convolve(values: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(tf.nn.conv2d(values, kernel, 1, "SAME"))

    before = convolve(images).numpy()
    with precision.arithmetic("bfloat16"):
        within = convolve(images).numpy()
    after = convolve(images).numpy()
    np.testing.assert_array_equal(before, after)
    assert within.dtype == np.float32
    np.testing.assert_allclose(within, before, atol=0.02 * before.max())
