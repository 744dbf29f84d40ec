"""What is refused before TensorFlow decodes it, for nobody can stop it then."""

import io
import struct
import zlib
from collections.abc import Callable

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from serving import pictures
from serving.errors import ServingError
from tests.serving.conftest import WAIT, InProcess
from tests.serving.tiny_model import png, request


def jpeg(size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("L", size, 90).save(file, "JPEG", **options)
    return file.getvalue()


def scanned(scans: int, side: int = 64) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    content = jpeg((side, side), progressive=True)
    start = content.rindex(b"\xff\xda")
    return content[:start] + content[start:-2] * scans + content[-2:]


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + zlib.crc32(header).to_bytes(4)


def resized(content: bytes, height: int, width: int) -> bytes:
    start = content.index(b"\xff\xc0") + 5
    return content[:start] + struct.pack(">HH", height, width) + content[start + 4 :]


def in_example(content: bytes) -> bytes:
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))
    features = tf.train.Features(feature={"image/encoded": feature})
    return tf.train.Example(features=features).SerializeToString()


def of_numbers(count: int) -> bytes:
    """A tf.Example of so many small integers, a byte each."""
    content = bytearray(in_example(b"\1" * count))
    content[content.index(b"image/encoded") + 18] = 0x1A  # int64_list where bytes_list was
    return bytes(content)


BOMBS = {
    "a JPEG of 3,000 scans": scanned(3000),
    "a JPEG of 100 scans of 16 million pixels": resized(
        scanned(100).replace(b"\xff\xc2", b"\xff\xc0", 1), 4000, 4000
    ),
    "a JPEG of 65,000 x 65,000 pixels": resized(jpeg(), 65_000, 65_000),
    "a PNG of 23,000 x 23,000 pixels": png_header(23_000, 23_000),
    "a GIF of 30,000 x 30,000 pixels": b"GIF89a" + struct.pack("<HH", 30_000, 30_000),
    "a WebP": b"RIFF\x1a\0\0\0WEBPVP8L",
    "a JPEG XL": b"\xff\x0a\xfa\x1f",
    "a JPEG XL in a container": b"\0\0\0\x0cJXL \r\n\x87\n",
    "a JPEG padded with 0xFF": jpeg()[:2] + b"\xff" * 2**20 + jpeg()[2:],
    "a JPEG of 100,000 empty segments": jpeg()[:2] + b"\xff\xfe\0\2" * 100_000 + jpeg()[2:],
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("wrap", [bytes, in_example])
def test_a_picture_that_would_keep_a_decoder_busy_is_refused(
    name: str, wrap: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(ServingError, match="The image"):
        pictures.check({"x": np.array([png(3), wrap(BOMBS[name])], object)})


@pytest.mark.parametrize(
    "value",
    [
        *(jpeg(), jpeg(progressive=True), scanned(20), png(3), png_header(7000, 7000)),
        *(jpeg()[:2], jpeg()[:200], b"", b"no picture", in_example(jpeg()), of_numbers(2**21)),
        in_example(b"BM-17.jpeg"),
        *(resized(jpeg(), 0, 0), b"\xff\xd8\xff", jpeg()[:2] + b"\xff" * 99 + jpeg()[2:]),
    ],
)
def test_what_is_sound_or_merely_damaged_is_the_models_to_judge(value: bytes) -> None:
    pictures.check({"x": np.array([value], object), "y": np.zeros(3)})


@pytest.mark.parametrize(
    "values",
    [
        [of_numbers(20_000_000)],
        [2 * of_numbers(9_000_000)],  # concatenated messages are merged
        [b"\x0a\x00" * 140_000] * 2,
    ],
)
def test_an_example_that_would_fill_the_memory_is_refused_before_it_is_parsed(
    values: list[bytes],
) -> None:
    with pytest.raises(ServingError, match="more than"):
        pictures.check({"examples": np.array(values, object)})


def test_a_thousand_examples_of_many_features_pass() -> None:
    example = tf.train.Example()
    for number in range(15):
        example.features.feature[f"feature {number}"].bytes_list.value.append(b"text")
    pictures.check({"examples": np.array([example.SerializeToString()] * 1024, object)})


def test_a_bomb_is_refused_over_grpc(shared: InProcess) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        shared.prediction.Predict(request("predict_image", [scanned(3000)]), timeout=WAIT)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "scans" in caught.value.details()
