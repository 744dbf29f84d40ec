"""A DICOM becomes the picture that pydicom's own LUTs give, and tells nobody whose it is."""

import io
import struct
import zlib

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from client import codestream, decoding, images
from client.images import ImageError, Reason
from tests.client.image_files import (
    PATIENT_ID,
    PATIENT_NAME,
    colour,
    dicom,
    encoded,
    grey,
    pixels,
    recoded_by_gdcm,
)


def refused(data: bytes, **caps) -> ImageError:
    with pytest.raises(ImageError) as caught:
        images.read(data, **caps)
    return caught.value


def displayed(data: bytes, low: float, high: float) -> np.ndarray:
    """pydicom's values with `low`..`high` as black..white, by the standard's own steps."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    share = (values.astype(float) - low) / (high - low)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        share = 1 - share
    return np.rint(share * 255).astype(np.uint8)


def lut(entries: int, first: int, bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [entries, first, bits]
    item["LUTDescriptor"].VR = "US"
    item.LUTData = [int(v) for v in np.linspace(0, 1, entries) ** 0.9 * (2**bits - 1)]
    item["LUTData"].VR = "US"
    return item


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_is_applied_as_pydicom_applies_it(photometric, bits, function):
    window = {"WindowCenter": 0.4 * 2**bits, "WindowWidth": 0.5 * 2**bits}
    data = dicom(bits=bits, photometric=photometric, VOILUTFunction=function, **window)
    np.testing.assert_array_equal(pixels(images.read(data).data), displayed(data, 0, 2**bits - 1))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_without_a_window_the_pictures_own_range_is_shown(photometric, bits):
    data = dicom(bits=bits, photometric=photometric)
    stored = pydicom.dcmread(io.BytesIO(data)).pixel_array
    result = pixels(images.read(data).data)
    np.testing.assert_array_equal(result, displayed(data, stored.min(), stored.max()))
    assert (result.min(), result.max()) == (0, 255)


def test_monochrome1_is_the_negative_of_monochrome2():
    one, two = (pixels(images.read(dicom(photometric=f"MONOCHROME{n}")).data) for n in (1, 2))
    assert np.abs(255 - one.astype(int) - two).max() <= 1  # halves are rounded to even


def test_rescale_and_signed_values_come_before_the_window():
    values = grey().astype(np.int16) * 8 - 1000
    data = dicom(
        values,
        bits=16,
        RescaleSlope=2,
        RescaleIntercept=-100,
        WindowCenter=-300,
        WindowWidth=1500,
    )
    low, high = -(2**15) * 2 - 100, (2**15 - 1) * 2 - 100
    np.testing.assert_array_equal(pixels(images.read(data).data), displayed(data, low, high))


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_voi_lut_is_preferred_to_a_window(bits):
    table = lut(3000, 200, bits)
    data = dicom(VOILUTSequence=[table], WindowCenter=10, WindowWidth=20)
    np.testing.assert_array_equal(pixels(images.read(data).data), looked_up(data, table, bits))


def looked_up(data: bytes, table: Dataset, bits: int) -> np.ndarray:
    """PS3.3 C.11.2.1.1 in its own words; pydicom's indices overflow in tables of 8 bits."""
    stored = pydicom.dcmread(io.BytesIO(data)).pixel_array.astype(int)
    entries, first = np.array(table.LUTData), table.LUTDescriptor[1]
    values = entries[np.clip(stored - first, 0, len(entries) - 1)]
    return np.rint(values / (2**bits - 1) * 255).astype(np.uint8)


@pytest.mark.parametrize("declared", [10, 12, 14, 16])
@pytest.mark.parametrize("needed", [8, 10, 12, 14])
def test_a_voi_luts_entries_tell_their_bits_where_its_descriptor_does_not(declared, needed):
    table = lut(4096, 0, needed)
    table.LUTDescriptor = [4096, 0, declared]
    data = dicom(VOILUTSequence=[table])
    np.testing.assert_array_equal(pixels(images.read(data).data), looked_up(data, table, needed))


def test_a_modality_lut_comes_before_the_window():
    data = dicom(ModalityLUTSequence=[lut(4096, 0, 16)], WindowCenter=2000, WindowWidth=3000)
    np.testing.assert_array_equal(pixels(images.read(data).data), displayed(data, 0, 2**16 - 1))


def test_of_several_windows_the_first_counts():
    one = dicom(WindowCenter=1500, WindowWidth=2000)
    several = dicom(WindowCenter=[1500, 200], WindowWidth=[2000, 100])
    assert images.read(several).data == images.read(one).data


@pytest.mark.parametrize("empty", [("WindowCenter",), ("WindowWidth",), ("RescaleSlope",)])
def test_an_element_without_a_value_is_as_none(empty):
    tags = {"WindowCenter": 2000, "WindowWidth": 3000, "RescaleSlope": 1, "RescaleIntercept": 0}
    given = {name: None if name in empty else value for name, value in tags.items()}
    kept = {name: value for name, value in tags.items() if name not in empty}
    assert images.read(with_elements(given)).data == images.read(dicom(**kept)).data


def with_elements(values):
    data = pydicom.dcmread(io.BytesIO(dicom()))
    for name, value in values.items():
        setattr(data, name, value)
    file = io.BytesIO()
    data.save_as(file)
    return file.getvalue()


def test_a_picture_of_one_value_is_black_or_white():
    flat = np.full((8, 8), 700, np.uint16)
    assert pixels(images.read(dicom(flat)).data).max() == 0
    assert pixels(images.read(dicom(flat, photometric="MONOCHROME1")).data).min() == 255


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEG2000Lossless],
    ids=lambda syntax: syntax.name,
)
def test_the_transfer_syntax_changes_no_pixel(syntax):
    window = {"WindowCenter": 2000, "WindowWidth": 3000}
    assert images.read(dicom(syntax=syntax, **window)).data == images.read(dicom(**window)).data


def test_big_endian_changes_no_pixel():
    item = lut(4096, 0, 12)
    item["LUTData"].VR = "OW"
    item.LUTData = np.array(item.LUTData).astype(">u2").tobytes()
    dataset = pydicom.dcmread(io.BytesIO(dicom(VOILUTSequence=[item])))
    dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    swapped = Dataset()
    swapped.file_meta = dataset.file_meta
    swapped.update(dataset)
    file = io.BytesIO()
    swapped.save_as(file, implicit_vr=False, little_endian=False)
    plain = dicom(VOILUTSequence=[lut(4096, 0, 12)])
    assert images.read(file.getvalue()).data == images.read(plain).data


def test_a_jpeg_inside_is_decoded():
    data = dicom(bits=8, syntax=JPEGBaseline8Bit, WindowCenter=128, WindowWidth=256)
    np.testing.assert_array_equal(pixels(images.read(data).data), displayed(data, 0, 255))


def test_lossless_jpeg_is_decoded_in_a_process_of_its_own(tmp_path):
    native, lossless = tmp_path / "native.dcm", tmp_path / "lossless.dcm"
    native.write_bytes(dicom(WindowCenter=2000, WindowWidth=3000))
    recoded_by_gdcm(str(native), str(lossless))
    assert images.read(lossless).data == images.read(native).data


def test_a_crash_of_a_decoder_is_a_refusal_and_the_next_film_is_read(monkeypatch):
    abort = "import os; from client import dicom; dicom.decoded = lambda _: os.abort(); "
    start = decoding._START.replace("from client", abort + "from client", 1)
    monkeypatch.setattr(decoding, "_START", start)
    decoding._pool.end()
    error = refused(dicom())
    assert error.reason == Reason.UNREADABLE
    assert PATIENT_ID in error.identity  # so that callers can still keep it out of what they write
    monkeypatch.undo()
    assert images.read(dicom()).patient_id == PATIENT_ID


@pytest.mark.parametrize("modality", ["CR", "DX", "DR", "RG"])
def test_radiographs_are_taken(modality):
    assert images.read(dicom(Modality=modality)).source_format == "dicom"


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"Modality": "CT"}, "'CT'"),
        ({"Modality": None, "SOPClassUID": SecondaryCaptureImageStorage}, "none"),
        ({"NumberOfFrames": 2}, "2 frames"),
        ({"PixelData": None}, "without pixels"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour"),
    ],
)
def test_other_dicom_is_refused_with_what_it_is(elements, said):
    error = refused(dicom(**elements))
    assert error.reason == Reason.UNSUPPORTED
    assert said in str(error)


@pytest.mark.parametrize(
    ("syntax", "said"),
    [
        ("1.2.840.10008.1.2.4.110", "JPEG XL Lossless"),
        ("1.2.840.10008.1.2.4.92", "JPEG 2000 Part 2 Multi-component"),
        ("1.2.840.10008.1.2.4.102", "MPEG-4"),
        ("1.2.3.4", "no known syntax"),
    ],
)
def test_a_syntax_without_a_decoder_is_named(syntax, said):
    data = dicom(bits=8, syntax=JPEG2000Lossless)
    at = data.index(b"\x02\0\x10\0UI") + 6  # pydicom does not write what it does not know
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    end = at + 2 + int.from_bytes(data[at : at + 2], "little")
    error = refused(data[:at] + len(value).to_bytes(2, "little") + value + data[end:])
    assert error.reason == Reason.UNSUPPORTED
    assert said in str(error)


@pytest.mark.parametrize(
    ("storage", "is_taken"),
    [
        (ComputedRadiographyImageStorage, True),
        (DigitalXRayImageStorageForPresentation, True),
        (SecondaryCaptureImageStorage, False),
    ],
)
def test_where_the_modality_is_missing_the_storage_class_tells_it(storage, is_taken):
    dataset = pydicom.dcmread(io.BytesIO(dicom(SOPClassUID=storage)))
    del dataset.Modality, dataset.SOPClassUID  # the file's meta information still says it
    file = io.BytesIO()
    dataset.save_as(file)
    if is_taken:
        assert images.read(file.getvalue()).data == images.read(dicom()).data
    else:
        assert "none" in str(refused(file.getvalue()))


@pytest.mark.parametrize("start", ["meta information", "data set"])
def test_a_dicom_without_its_preamble_is_read(start):
    data = dicom()
    length = int.from_bytes(data[140:144], "little")
    naked = data[132:] if start == "meta information" else data[144 + length :]
    assert images.read(naked).data == images.read(data).data


@pytest.mark.parametrize("padding", [-2000, 2**16 - 2000], ids=["signed", "written as unsigned"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_in_no_range(padding, photometric):
    film = grey().astype(np.int16)
    padded = film.copy()
    padded[:, :9] = -2000
    data = dicom(padded, bits=16, photometric=photometric)
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.add_new("PixelPaddingValue", "SS" if padding < 0 else "US", padding)
    file = io.BytesIO()
    dataset.save_as(file)
    result = pixels(images.read(file.getvalue()).data)
    assert not result[:, :9].any()
    alone = pixels(images.read(dicom(film[:, 9:].copy(), bits=16, photometric=photometric)).data)
    np.testing.assert_array_equal(result[:, 9:], alone)


def test_a_range_of_padding_values_is_black():
    film = grey(seed=1).astype(np.uint16) + 100
    padded = film.copy()
    padded[:3], padded[3:6] = 5, 9
    result = pixels(images.read(dicom(padded, PixelPaddingValue=9, PixelPaddingRangeLimit=4)).data)
    assert not result[:6].any()
    np.testing.assert_array_equal(result[6:], pixels(images.read(dicom(film[6:].copy())).data))


@pytest.mark.parametrize(
    "window",
    [
        {"WindowCenter": 0, "WindowWidth": 0},
        {"WindowCenter": 5, "WindowWidth": -3},
        {"WindowCenter": 2000, "WindowWidth": 4000, "VOILUTFunction": ""},
    ],
)
def test_what_is_no_window_or_no_function_is_as_none(window):
    kept = {} if window["WindowWidth"] <= 0 else {k: window[k] for k in list(window)[:2]}
    assert images.read(dicom(**window)).data == images.read(dicom(**kept)).data


def test_a_narrow_window_after_a_small_slope_is_exact():
    small = {"RescaleSlope": 0.0001, "RescaleIntercept": 0}
    narrow = images.read(dicom(WindowCenter=0.2, WindowWidth=0.3, **small))
    wide = {"WindowCenter": 2000, "WindowWidth": 3000, "VOILUTFunction": "LINEAR_EXACT"}
    difference = pixels(narrow.data).astype(int) - pixels(images.read(dicom(**wide)).data)
    assert np.abs(difference).max() <= 1


def test_entries_of_eight_bits_may_stand_two_in_a_word():
    table = lut(4096, 0, 8)
    packed = Dataset()
    packed.LUTDescriptor = [4096, 0, 8]
    packed["LUTDescriptor"].VR = "US"
    packed.add_new("LUTData", "OW", bytes(table.LUTData))
    for sequence in ("ModalityLUTSequence", "VOILUTSequence"):
        one, two = (images.read(dicom(**{sequence: [item]})) for item in (table, packed))
        assert one.data == two.data


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"RescaleSlope": 0, "RescaleIntercept": 3}, "RescaleSlope is 0"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "FOR PROCESSING"),
        ({"BodyPartExamined": "HAND"}, "BodyPartExamined is HAND"),
        ({"ViewPosition": "LL"}, "ViewPosition is LL"),
    ],
)
def test_what_makes_a_film_doubtful_is_noted(elements, said):
    xray = images.read(dicom(**elements))
    assert said in xray.notes[0]
    assert xray.data == images.read(dicom()).data


@pytest.mark.parametrize("elements", [{"BodyPartExamined": "CHEST"}, {"ViewPosition": "PA"}])
def test_a_frontal_chest_film_has_no_notes(elements):
    assert not images.read(dicom(**elements)).notes


def test_colour_dicom_is_refused():
    data = dicom(colour()[..., 0], bits=8, SamplesPerPixel=3, PhotometricInterpretation="RGB")
    assert refused(data).reason == Reason.UNSUPPORTED


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, RLELossless, JPEG2000Lossless], ids=lambda s: s.name
)
@pytest.mark.parametrize("keep", [0.5, 0.9, 0.99])
def test_a_dicom_that_was_cut_off_is_told(syntax, keep):
    data = dicom(syntax=syntax)
    assert refused(data[: int(len(data) * keep)]).reason == Reason.TRUNCATED


def test_fewer_pixels_than_the_header_says_is_truncated():
    assert refused(dicom(Rows=96)).reason == Reason.TRUNCATED


def test_caps_hold_before_anything_is_decoded():
    assert refused(dicom(Rows=40_000, Columns=40_000)).reason == Reason.TOO_LARGE
    assert refused(dicom(), max_pixels=48 * 56 - 1).reason == Reason.TOO_LARGE
    assert images.read(dicom(), max_pixels=48 * 56)


@pytest.mark.parametrize("wrong_by", [None, 0, -40, 4000], ids="header is {}".format)
def test_a_deflated_bomb_is_not_inflated(wrong_by):
    """Nor where the header lies about its own length, which pydicom does not heed."""
    small = dicom(syntax=DeflatedExplicitVRLittleEndian)
    length = int.from_bytes(small[140:144], "little")
    squeeze = zlib.compressobj(wbits=-15)
    stream = squeeze.compress(bytes(2**24)) + squeeze.flush()
    told = 0 if wrong_by is None else length + wrong_by
    bomb = small[:140] + told.to_bytes(4, "little") + small[144 : 144 + length] + stream
    assert len(bomb) < 2**20
    assert refused(bomb, max_bytes=2**20).reason == Reason.TOO_LARGE


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_a_bomb_of_empty_items_is_not_read(syntax):
    dataset = pydicom.dcmread(io.BytesIO(dicom(syntax=syntax)))
    dataset.ReferencedImageSequence = [Dataset() for _ in range(30_000)]
    file = io.BytesIO()
    dataset.save_as(file)
    error = refused(file.getvalue())
    assert error.reason == Reason.UNREADABLE
    assert "items" in str(error)


def compressed(syntax: str, content: bytes) -> bytes:
    """A small DICOM with these bytes in place of its compressed frame."""
    dataset = pydicom.dcmread(io.BytesIO(dicom(bits=8, syntax=syntax)))
    dataset.PixelData = encapsulate([content])
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def test_a_run_length_bomb_is_not_decoded():
    header = struct.pack("<16I", 1, 64, *[0] * 14)
    bomb = compressed(RLELossless, header + b"\x81\x00" * 2**16)
    error = refused(bomb)
    assert error.reason == Reason.UNREADABLE
    assert "disagree" in str(error)


def test_a_decoy_in_front_of_the_codestream_does_not_tell_its_size():
    dataset = pydicom.dcmread(io.BytesIO(dicom(bits=8, syntax=JPEG2000Lossless)))
    honest = get_frame(dataset.PixelData, 0, number_of_frames=1)
    assert honest.startswith(b"\xff\x4f\xff\x51")
    larger = pydicom.dcmread(io.BytesIO(dicom(grey(600, 700), bits=8, syntax=JPEG2000Lossless)))
    real = get_frame(larger.PixelData, 0, number_of_frames=1)

    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(content), kind) + content

    signature = box(b"jP  ", b"\r\n\x87\n")
    assert codestream.frame(signature + box(b"jp2c", honest)) == codestream.frame(honest)
    decoyed = signature + box(b"free", honest) + box(b"jp2c", real)
    assert codestream.frame(decoyed) == codestream.frame(real)
    assert refused(compressed(JPEG2000Lossless, decoyed)).reason == Reason.UNREADABLE


def test_a_codestream_larger_than_its_header_says_is_not_decoded():
    data = dicom(bits=8, syntax=JPEGBaseline8Bit)
    inner = encoded(grey(), "JPEG")
    outer = encoded(grey(600, 700), "JPEG")
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.PixelData = encapsulate([outer])
    file = io.BytesIO()
    dataset.save_as(file)
    assert len(outer) > len(inner)
    assert refused(file.getvalue()).reason == Reason.UNREADABLE


@pytest.mark.parametrize("elements", [{}, {"Modality": "CT"}, {"Rows": 96}])
def test_the_patient_is_neither_in_the_picture_nor_in_what_is_printed(elements):
    data = dicom(**elements)
    try:
        xray = images.read(data)
        printed = repr(xray) + repr(xray.data)
        assert xray.patient_id == PATIENT_ID
        identity = xray.identity
    except ImageError as error:
        printed = f"{error!r} {error}"
        identity = error.identity
    assert {PATIENT_ID, PATIENT_NAME, "Wintergreen", "Ottoline"} <= set(identity)
    assert not any(word.lower() in printed.lower() for word in identity)


def test_nothing_is_printed_or_logged_of_values_against_the_standard(capfd, caplog, recwarn):
    data = dicom(PatientSex="Wintergreen-far-too-long-for-this", PatientID="\\".join("abc"))
    capfd.readouterr(), caplog.clear(), recwarn.clear()  # of writing it
    images.read(data)
    with pytest.raises(ImageError):
        images.read(data[:-9])
    assert (*capfd.readouterr(), caplog.text) == ("", "", "")
    assert not recwarn.list


def test_a_missing_patient_id_is_none():
    assert images.read(dicom(PatientID="")).patient_id is None
    assert images.read(dicom(PatientID=None)).patient_id is None


@pytest.mark.xrays
def test_a_real_computed_radiograph(xrays):
    path = xrays.parent / "dicom" / "RG1_J2KI.dcm"
    if not path.exists():
        pytest.skip(f"no {path}")
    data = path.read_bytes()
    xray = images.read(path)
    assert (xray.width, xray.height) == (1841, 1955)
    np.testing.assert_array_equal(pixels(xray.data), displayed(data, 0, 2**15 - 1))
