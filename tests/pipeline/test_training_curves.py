"""The training's picture is a picture, whatever the training did."""

import numpy as np
import pytest
import tensorflow as tf

from pipeline import training_curves
from pipeline.fitting import Epoch


@pytest.mark.parametrize("count", [1, 5])
def test_the_curves_are_drawn(count: int) -> None:
    history = [Epoch(i, 1 / i, 1.2 / i, 1 - 0.1 / i, 3.0) for i in range(1, count + 1)]
    picture = tf.io.decode_png(training_curves.draw(history, best=count)).numpy()
    assert picture.shape[0] > 300
    assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 20
