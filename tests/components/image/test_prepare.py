"""What the network sees of an X-ray, and what a heat map looks like over it."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageFilter

from client.pacs.answers.capture import lay_over
from components.image import prepare as imaging
from components.image.heatmap import overlay, uncrop_heatmap
from components.image.settings import ImageConfig
from pipeline.datasets.synthetic.anatomy import random_anatomy
from pipeline.datasets.synthetic.film import random_opacities, render

GREY = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (40, 1))  # 40 rows, 60 columns
SMALL = ImageConfig(size=64)


def encoded(pixels: np.ndarray, form: str, mode: str | None = None) -> bytes:
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, form)
    return buffer.getvalue()


def prepare(image_bytes: bytes, config: ImageConfig = SMALL) -> np.ndarray:
    return imaging.prepare(tf.constant(image_bytes), config).numpy()


@pytest.mark.parametrize(
    ("form", "mode", "tolerance"),
    [
        ("PNG", "L", 0),
        ("PNG", "LA", 0),
        ("PNG", "RGB", 1),
        ("PNG", "RGBA", 1),
        ("PNG", "P", 1),
        ("JPEG", "L", 3),
        ("JPEG", "RGB", 3),
        ("JPEG", "CMYK", 3),
    ],
)
def test_every_kind_of_channels_decodes_to_the_same_grey(
    form: str, mode: str, tolerance: int
) -> None:
    grey = imaging.decode_grey(tf.constant(encoded(GREY, form, mode)))
    assert grey.dtype == tf.uint8
    assert np.abs(grey.numpy().astype(int) - GREY).max() <= tolerance


def test_sixteen_bit_png_keeps_its_upper_byte() -> None:
    deep = GREY.astype(np.uint16) * 256 + 77
    np.testing.assert_array_equal(imaging.decode_grey(tf.constant(encoded(deep, "PNG"))), GREY)


@pytest.mark.parametrize(
    "image_bytes", [b"", b"no image", encoded(GREY, "JPEG")[:400], encoded(GREY, "PNG")[:90]]
)
def test_bytes_that_are_no_whole_image_raise(image_bytes: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        prepare(image_bytes)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (3, 2), (700, 300)])
@pytest.mark.parametrize("contrast", ["none", "harmonise"])
def test_any_shape_and_option_gives_the_configured_square(
    shape: tuple[int, int], contrast: str
) -> None:
    options = {"size": 64, "crop_border": 0.2, "contrast": contrast}
    for level, outside in itertools.product((0, 255), ("keep", "grey")):
        config = ImageConfig(**options, outside=outside)
        prepared = prepare(encoded(np.full(shape, level, np.uint8), "PNG"), config)
        assert prepared.dtype == np.uint8
        assert prepared.shape == (64, 64)


def test_resizing_does_not_alias() -> None:
    stripes = np.zeros((640, 640), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(prepare(encoded(stripes, "PNG")).astype(int) - 100).max() < 5


def test_the_crop_leaves_the_border_out() -> None:
    framed = np.full((100, 200), 255, np.uint8)
    framed[10:90, 20:180] = 60
    assert set(prepare(encoded(framed, "PNG"), ImageConfig(size=64, crop_border=0.1)).flat) == {60}


def drawn(etiology: str) -> np.ndarray:
    """A synthetic chest film, uint8[224,224]; the same child and exposure each time."""
    draw = np.random.default_rng(7)
    anatomy = random_anatomy(draw)
    opacities = random_opacities(np.random.default_rng(3), anatomy, etiology)
    pixels = render(anatomy, opacities, draw).pixels
    return np.asarray(Image.fromarray((pixels >> 4).astype(np.uint8)).resize((224, 224)))


def through(film: np.ndarray, side: int) -> np.ndarray:
    small = Image.fromarray(film).resize((side, side), Image.Resampling.BOX)
    return np.asarray(small.resize((224, 224), Image.Resampling.BICUBIC))


def framed(film: np.ndarray) -> np.ndarray:
    black = np.zeros_like(film)
    black[25:-25, 25:-25] = film[25:-25, 25:-25]
    return black


PROCESSED = {
    "gamma": lambda film: np.round(255 * (film / 255) ** 1.6).astype(np.uint8),
    "pale": lambda film: (90 + film * 0.5).astype(np.uint8),
    "sharpened": lambda film: np.asarray(
        Image.fromarray(film).filter(ImageFilter.UnsharpMask(2, 150, 0))
    ),
    "saved small": lambda film: through(film, 112),
    "framed": framed,
}


@pytest.mark.parametrize("processing", PROCESSED)
def test_harmonised_films_look_alike_however_they_were_processed(processing: str) -> None:
    film, inside = drawn("normal"), slice(34, -34)
    one, other = (
        prepare(encoded(pixels, "PNG"), ImageConfig(contrast="harmonise"))[inside, inside]
        for pixels in (film, PROCESSED[processing](film))
    )
    # Without, up to 0.99 of the deviation; equalised, 0.11 where sharpened and 0.64 where framed.
    assert np.abs(one.astype(float) - other).mean() < 0.05 * one.std()


def test_a_harmonised_film_still_shows_what_is_white_in_a_lung() -> None:
    well, ill = drawn("normal").astype(float), drawn("bacteria").astype(float)
    opacity = ill - well > 25
    assert opacity.sum() > 500
    config = ImageConfig(contrast="harmonise")
    clear, white = (
        prepare(encoded(film.astype(np.uint8), "PNG"), config).astype(float) for film in (well, ill)
    )
    assert (white - clear)[opacity].mean() > 25


def test_a_heat_map_covers_the_whole_image_and_is_zero_where_it_was_cropped() -> None:
    heatmap = tf.ones([2, 7, 7])
    whole, cropped = (uncrop_heatmap(heatmap, border)[1].numpy() for border in (0.0, 0.125))
    np.testing.assert_array_equal(whole, np.ones((224, 224)))
    expected = np.zeros((224, 224))
    expected[28:196, 28:196] = 1
    np.testing.assert_allclose(cropped, expected, atol=1e-6)


def test_the_heat_lies_where_the_cropped_image_had_it() -> None:
    heatmap = np.zeros((1, 7, 7), np.float32)
    heatmap[0, 5, 1] = 1
    heat = uncrop_heatmap(tf.constant(heatmap), 0.2)
    row, column = np.unravel_index(heat[0].numpy().argmax(), (224, 224))
    assert row == pytest.approx(224 * (0.2 + 0.6 * 5.5 / 7), abs=3)
    assert column == pytest.approx(224 * (0.2 + 0.6 * 1.5 / 7), abs=3)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((100, 150), (100, 150)), ((3000, 1500), (1024, 512)), ((1, 4000), (1, 1024))],
)
def test_the_overlay_keeps_the_aspect_within_its_bound(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    film = tf.constant(encoded(np.full(shape, 90, np.uint8), "PNG"))
    drawn = tf.io.decode_png(overlay(film, tf.zeros([224, 224])))
    assert drawn.shape == (*expected, 3)
    assert set(drawn.numpy().flat) == {90}  # no heat: the film alone


def test_heat_is_drawn_in_colour_in_its_place_alone() -> None:
    heatmap = np.zeros((224, 224), np.float32)
    heatmap[:112, :112] = 1
    film = tf.constant(encoded(np.full((100, 200), 128, np.uint8), "JPEG"))
    drawn = tf.io.decode_png(overlay(film, tf.constant(heatmap))).numpy().astype(int)
    hot, cold = drawn[25, 50], drawn[75, 150]
    assert np.ptp(cold) == 0
    assert hot.max() - hot.min() > 80


def test_a_dicom_capture_shows_heat_in_the_overlays_colours() -> None:
    heatmap = np.linspace(0, 1, 224**2, dtype=np.float32).reshape(224, 224)
    grey = np.full((300, 200), 90, np.uint8)
    captured = Image.fromarray(grey).convert("RGB")
    lay_over(captured, heatmap)
    drawn = tf.io.decode_png(overlay(tf.constant(encoded(grey, "PNG")), tf.constant(heatmap)))
    assert np.abs(drawn.numpy().astype(int) - np.asarray(captured)).max() <= 6


def test_a_saved_model_prepares_and_draws_as_the_functions_do(tmp_path: Path) -> None:
    config = ImageConfig(size=64, crop_border=0.1, contrast="harmonise", outside="grey")

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
        def look(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
            heat = uncrop_heatmap(tf.ones([1, 7, 7]), config.crop_border)[0]
            return {
                "prepared": imaging.prepare(image_bytes, config),
                "overlay": overlay(image_bytes, heat),
            }

    module = Module()
    tf.saved_model.save(module, str(tmp_path), signatures={"look": module.look})
    look = tf.saved_model.load(str(tmp_path)).signatures["look"]
    for form in ("PNG", "JPEG"):
        film = encoded(GREY, form)
        answer = look(tf.constant(film))
        np.testing.assert_array_equal(answer["prepared"], prepare(film, config))
        assert Image.open(io.BytesIO(answer["overlay"].numpy())).size == (60, 40)


@pytest.mark.xrays
def test_real_films_keep_their_contrast(xrays: Path) -> None:
    films = sorted((xrays / "originals").rglob("*.jpeg"))[::60]
    assert films
    for film in films:
        prepared = prepare(film.read_bytes(), ImageConfig())
        assert prepared.shape == (224, 224)
        assert 25 < prepared.std() < 100
