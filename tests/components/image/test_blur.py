"""The blur that harmonising and the lung mask are made of."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import gaussian_filter

from components.image.blur import gaussian


@pytest.mark.parametrize("sigma", [0.3, 1.0, 1.5, 8.0])
def test_it_is_scipys_gaussian_with_mirrored_borders(sigma: float) -> None:
    image = np.random.default_rng(0).uniform(0, 255, (64, 48)).astype(np.float32)
    expected = gaussian_filter(image, sigma, mode="reflect", radius=int(np.ceil(3 * sigma)))
    np.testing.assert_allclose(gaussian(tf.constant(image), sigma), expected, atol=1e-3)
