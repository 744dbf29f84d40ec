"""VGG-16's convolutions: names and output channels.

K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
2015, configuration D.
"""

from typing import Final

_CHANNELS: Final = {1: (64, 64), 2: (128, 128), 3: (256, 256, 256), 4: (512,) * 3, 5: (512,) * 3}
LAYERS: Final = {
    f"block{block}_conv{index}": channels
    for block, counts in _CHANNELS.items()
    for index, channels in enumerate(counts, 1)
}


def channels(width: float) -> dict[str, int]:
    """Each layer's output channels at a share, in (0,1], of VGG-16's width."""
    return {name: max(1, round(count * width)) for name, count in LAYERS.items()}
