"""The reader passes JPEG and PNG on untouched, or as a viewer shows them, or says why not."""

import io
import os
import tracemalloc

import numpy as np
import pytest
from PIL import Image, ImageOps

from client import images
from client.images import ImageError, Reason
from client.walking import walk
from tests.client.image_files import colour, encoded, grey, pixels, png_of_size


def refused(source, **caps) -> ImageError:
    with pytest.raises(ImageError) as caught:
        images.read(source, **caps)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("source", [grey(), colour()], ids=["grey", "colour"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"comment": "taken at dusk"}),
        ("PNG", {}),
        ("PNG", {"dpi": (300, 300)}),
    ],
)
def test_what_tensorflow_reads_as_a_viewer_does_passes_byte_for_byte(source, kind, options):
    data = encoded(source, kind, **options)
    xray = images.read(data)
    assert xray.data == data
    assert (xray.format, xray.source_format) == (kind.lower(), kind.lower())
    assert (xray.width, xray.height) == (56, 48)


def test_a_picture_of_thousands_of_scans_is_refused_before_it_is_decoded():
    data = encoded(grey(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    error = refused(data[:-2] + scan * 5000 + data[-2:])
    assert "scans" in str(error)


def test_bytes_path_and_stream_read_alike(tmp_path):
    path = tmp_path / "名前 with spaces\nand a line break.jpeg"
    path.write_bytes(encoded(grey(), "JPEG"))
    from_path = images.read(path)
    assert from_path == images.read(str(path)) == images.read(path.read_bytes())
    assert from_path == images.read(io.BytesIO(path.read_bytes()))


def test_content_decides_not_the_name(tmp_path):
    path = tmp_path / "film.jpg"
    path.write_bytes(encoded(grey(), "PNG"))
    assert images.read(path).format == "png"


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation_is_applied(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(grey(), kind, exif=exif)
    xray = images.read(data)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert xray.format == "png"
    np.testing.assert_array_equal(pixels(xray.data), np.asarray(expected))
    assert (xray.width, xray.height) == expected.size
    assert not Image.open(io.BytesIO(xray.data)).getexif()


def test_an_upright_exif_passes_untouched():
    exif = Image.Exif()
    exif[0x0112] = 1
    data = encoded(grey(), "JPEG", exif=exif)
    assert images.read(data).data == data


def test_sixteen_bits_are_scaled_by_the_png_specification():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    xray = images.read(encoded(values, "PNG"))
    assert pixels(xray.data).dtype == np.uint8
    np.testing.assert_array_equal(pixels(xray.data), np.round(values * (255 / 65535)))


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_values_of_fewer_bits_in_a_png_of_sixteen_are_read_as_such_and_told(bits):
    values = np.arange(2**bits, dtype=np.uint16).reshape(16, -1)
    xray = images.read(encoded(values, "PNG"))
    np.testing.assert_array_equal(pixels(xray.data), np.round(values * (255 / (2**bits - 1))))
    assert f"whose greys use {bits}" in xray.notes[0]


def test_a_dark_picture_of_all_sixteen_bits_is_left_as_it_is():
    values = np.arange(2**15, dtype=np.uint16).reshape(128, 256)
    xray = images.read(encoded(values, "PNG"))
    np.testing.assert_array_equal(pixels(xray.data), np.round(values * (255 / 65535)))
    assert not xray.notes


@pytest.mark.parametrize(
    ("image", "kind", "mode"),
    [
        (Image.fromarray(colour()).convert("CMYK"), "JPEG", "RGB"),
        (Image.fromarray(colour()).quantize(32), "PNG", "RGB"),
        (Image.fromarray(grey()).convert("1"), "PNG", "L"),
    ],
    ids=["cmyk", "palette", "bilevel"],
)
def test_other_colour_models_become_pillows_grey_or_rgb(image, kind, mode):
    data = encoded(image, kind)
    xray = images.read(data)
    expected = Image.open(io.BytesIO(data)).convert(mode)
    assert Image.open(io.BytesIO(xray.data)).mode == mode
    np.testing.assert_array_equal(pixels(xray.data), np.asarray(expected))


def test_four_bit_grey_is_stretched_to_eight():
    data = encoded(Image.fromarray(grey() // 16 * 17), "PNG", bits=4)
    np.testing.assert_array_equal(
        pixels(images.read(data).data), np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    )


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_lies_on_black(mode):
    source = Image.fromarray(np.dstack([colour(), grey(seed=9)]))
    if mode == "P":
        image = source.convert("RGB").quantize(8)
        data = encoded(image, "PNG", transparency=bytes(range(0, 256, 32)))
    else:
        data = encoded(source.convert(mode), "PNG")
    rgba = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")).astype(float)
    expected = rgba[..., :3] * rgba[..., 3:] / 255
    result = pixels(images.read(data).data)
    result = np.dstack([result] * 3) if result.ndim == 2 else result
    assert np.abs(result - expected).max() <= 0.51  # half a step, and Pillow's integer arithmetic


def test_an_opaque_alpha_channel_changes_no_pixel():
    data = encoded(Image.fromarray(colour()).convert("RGBA"), "PNG")
    np.testing.assert_array_equal(pixels(images.read(data).data), colour())


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, -12, -3, -1])
def test_a_file_that_was_cut_off_is_told(kind, keep):
    data = encoded(grey(200, 200), kind)
    end = keep if keep < 0 else int(len(data) * keep)
    assert refused(data[:end]).reason == Reason.TRUNCATED


def test_a_download_padded_with_zeros_is_told():
    data = encoded(grey(200, 200), "JPEG")
    half = len(data) // 2
    assert refused(data[:half] + bytes(len(data) - half)).reason == Reason.TRUNCATED


def test_damage_in_the_middle_of_a_jpeg_is_not_painted_over():
    data = bytearray(encoded(grey(200, 200), "JPEG"))
    middle = len(data) // 2
    data[middle : middle + 40] = b"\xff\x00" * 20
    assert refused(bytes(data)).reason == Reason.UNREADABLE


def test_a_jpeg_whose_scan_ends_too_early_is_not_painted_over():
    data = encoded(grey(200, 200), "JPEG")
    middle = len(data) // 2
    longer = data[:middle] + data[middle - 40 : middle] + data[middle:]
    assert refused(longer).reason == Reason.UNREADABLE


def test_a_png_with_a_wrong_checksum_is_unreadable():
    data = bytearray(encoded(grey(), "PNG"))
    data[data.index(b"IEND") - 5] ^= 1  # of the last IDAT
    assert refused(bytes(data)).reason == Reason.UNREADABLE


def test_junk_between_jpeg_segments_is_cleaned_away():
    data = encoded(grey(), "JPEG")
    xray = images.read(data[:20] + b"\x00\x01junk" + data[20:])
    assert xray.format == "png"
    np.testing.assert_array_equal(pixels(xray.data), pixels(data))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"just text",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        encoded(grey(), "GIF", save_all=True, append_images=[Image.fromarray(grey(seed=1))]),
        encoded(grey(), "TIFF"),
        encoded(grey(), "BMP"),
        b"PK\x03\x04" + bytes(200),
    ],
    ids=["empty", "zero", "text", "svg", "gif", "tiff", "bmp", "zip"],
)
def test_what_is_no_xray_file_is_refused(data):
    assert refused(data).reason == Reason.NOT_AN_IMAGE


def test_an_animated_png_is_refused():
    data = encoded(grey(), "PNG", save_all=True, append_images=[Image.fromarray(grey(seed=1))])
    assert refused(data).reason == Reason.UNSUPPORTED


def test_the_pixel_cap_holds_before_anything_is_decoded():
    data = png_of_size(40_000, 40_000)
    tracemalloc.start()
    error = refused(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.reason == Reason.TOO_LARGE
    assert "40,000 x 40,000" in str(error)
    assert peak < 2**20


def test_caps_are_inclusive(tmp_path):
    data = encoded(grey(), "JPEG")
    path = tmp_path / "film.jpg"
    path.write_bytes(data)
    for source in (data, path):
        assert images.read(source, max_bytes=len(data), max_pixels=48 * 56)
        assert refused(source, max_bytes=len(data) - 1).reason == Reason.TOO_LARGE
        assert refused(source, max_pixels=48 * 56 - 1).reason == Reason.TOO_LARGE


def test_no_more_than_the_byte_cap_is_taken_from_a_stream():
    stream = io.BytesIO(bytes(1000))
    assert refused(stream, max_bytes=10).reason == Reason.TOO_LARGE
    assert stream.tell() <= 11


def test_paths_that_are_no_file_are_unreadable(tmp_path):
    pipe, loop = tmp_path / "pipe", tmp_path / "loop"
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    for path in (pipe, loop, tmp_path, tmp_path / "missing", "nul\0byte"):
        assert refused(path).reason == Reason.UNREADABLE


def test_a_file_the_system_refuses_to_open_is_unreadable(tmp_path, monkeypatch):
    path = tmp_path / "film.jpg"
    path.write_bytes(encoded(grey(), "JPEG"))

    def deny(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", deny)  # root, who runs tests in containers, may all
    error = refused(path)
    assert (error.reason, str(error)) == (Reason.UNREADABLE, "Permission denied")


@pytest.mark.parametrize("target", ["/proc/self/environ", "/proc/kmsg", "/dev/zero", "/dev/stdin"])
def test_links_to_what_is_no_stored_file_are_not_opened(tmp_path, monkeypatch, target):
    link = tmp_path / "film.jpg"
    link.symlink_to(target)
    monkeypatch.setattr("pathlib.Path.open", lambda *_: pytest.fail("it was opened"))
    assert str(refused(link)) == "not a regular file"


def test_a_link_to_the_kernels_folders_is_not_walked(tmp_path):
    (tmp_path / "films").symlink_to("/proc")
    assert list(walk(tmp_path, lambda _: False)) == [("films", "a folder of the kernel's")]


@pytest.mark.xrays
def test_the_public_sets_originals_pass_byte_for_byte(xrays):
    files = sorted((xrays / "originals").rglob("*.jpeg"))[::8]
    assert files
    for path in files:
        assert images.read(path).data == path.read_bytes()
