"""The objects that an answer becomes."""

import dataclasses
import io

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation

import cli
from client import images
from client.pacs import answers
from client.pacs.answers import capture, contours, report
from client.pacs.answers.model import NOTICE, ModelVersion
from client.pacs.answers.reference import reference
from client.results import Prediction
from tests.client.conftest import jpeg
from tests.client.fake_server import THRESHOLD, VERSION, blob, overlay, serve
from tests.client.pacs.films import film

MODEL = ModelVersion("pneumonia", VERSION, "https://example.org/card")


def prediction(content: bytes, **changes: object) -> Prediction:
    picture = Image.open(io.BytesIO(images.read(content).data)).convert("L")
    said = Prediction(0.8125, 0.4, 1, VERSION, 0.1, 0.9, blob(), overlay(picture))
    return dataclasses.replace(said, **changes)


def built(content: bytes, said: Prediction, **options: object) -> dict[str, pydicom.Dataset]:
    source = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
    objects = answers.build(source, images.read_dicom(content)[1], said, MODEL, **options)
    return {kind: pydicom.dcmread(io.BytesIO(one)) for kind, one in objects.items()}


def test_the_same_film_and_model_give_the_same_uids_and_another_version_others():
    content = film(1)
    first, again = (built(content, prediction(content)) for _ in range(2))
    uids = [first[kind].SOPInstanceUID for kind in first]
    assert uids == [again[kind].SOPInstanceUID for kind in again]
    assert len(set(uids)) == 3
    other = ModelVersion("pneumonia", VERSION + 1)
    assert other.uid("1.2.3", "report") != MODEL.uid("1.2.3", "report")
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in uids)


def test_a_film_that_breaks_the_standard_is_answered_all_the_same():
    content = film(
        2, PatientSex="female", StudyDate="30.11.2026", PatientBirthDate="x", AccessionNumber=None,
        ReferringPhysicianName=None, StudyTime=None, WindowCenter=None, BodyPartExamined=None,
        SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Änne", PatientOrientation=None,
    )  # fmt: skip
    found = built(content, prediction(content))
    for dataset in found.values():
        assert str(dataset.PatientName) == "Müller^Änne"
        assert dataset.SpecificCharacterSet == "ISO_IR 192"
        assert (dataset.PatientSex, dataset.StudyDate, dataset.AccessionNumber) == ("", "", "")


@pytest.mark.parametrize(
    ("sop_class", "modality"),
    [(ComputedRadiographyImageStorage, "CR"), (DigitalXRayImageStorageForPresentation, "DX")],
)
def test_a_film_that_tells_its_modality_by_its_class_alone_is_answered(sop_class, modality):
    content = film(8, Modality=None, SamplesPerPixel=None, SOPClassUID=sop_class)
    assert len(built(content, prediction(content))) == 3
    source = reference(pydicom.dcmread(io.BytesIO(content)))
    assert (source.Modality, source.SamplesPerPixel) == (modality, 1)


def test_a_film_without_a_study_is_refused_in_one_line():
    content = film(3, StudyInstanceUID=None)
    with pytest.raises(ValueError, match=r"^the DICOM lacks StudyInstanceUID$"):
        built(content, prediction(content))


def test_the_capture_says_what_it_is_and_shows_the_scale_of_its_colours():
    content = film(4)
    found = built(content, prediction(content))[capture.KIND]
    assert NOTICE in found.SeriesDescription
    picture = found.pixel_array
    assert (found.BurnedInAnnotation, picture.dtype, picture.shape[2]) == ("NO", np.uint8, 3)
    bar = capture.colour_bar(1, 256)
    assert bar[0, 0].tolist() == [0xF0, 0xF9, 0x21]  # plasma's hottest
    assert bar[-1, 0].tolist() == [0, 0, 0]
    drawn = capture.picture(images.read_dicom(content)[1], prediction(content), MODEL)
    assert any((drawn == bar[0, 0]).all(axis=-1).ravel())
    assert (abs(picture.astype(int) - bar[0, 0]) <= 4).all(axis=-1).any()  # it is a JPEG
    assert found.LossyImageCompression == "01"


def test_the_outlines_lie_where_the_heat_is():
    heat = blob()  # its middle is at a third from the left and two thirds from the top
    lines = contours.outlines(heat, rows=300, columns=600)
    assert len(lines) == len(contours.LEVELS)
    for line in lines:
        assert line.mean(axis=0) == pytest.approx([200, 200], abs=6)
        assert line[0] == pytest.approx(line[-1])
    everywhere = contours.outlines(np.ones((224, 224), np.float32), 300, 600)
    assert all((line >= 0).all() and (line <= [600, 300]).all() for line in everywhere)
    assert contours.outlines(np.zeros((224, 224), np.float32), 300, 600) == []


def test_a_film_that_was_not_judged_gets_neither_probability_nor_heat():
    content = film(5)
    found = built(content, prediction(content, quality=0.2, familiarity=0.9))
    assert str(report.PROBABILITY.meaning) not in str(found[report.KIND])
    assert report.INSUFFICIENT.meaning in str(found[report.KIND])
    (annotation,) = found[contours.KIND].GraphicAnnotationSequence
    assert "GraphicObjectSequence" not in annotation
    assert "NOT JUDGED" in annotation.TextObjectSequence[0].UnformattedTextValue
    grey = found[capture.KIND].pixel_array[:900, :400]
    assert (grey[..., 0] == grey[..., 2]).all()


def test_an_older_models_low_quality_means_an_unfamiliar_film_which_is_judged():
    content = film(5)
    found = built(content, prediction(content, quality=0.2))
    said = str(found[report.KIND])
    assert report.DETECTED.meaning in said
    assert report.FAMILIARITY.meaning in said
    assert report.QUALITY.meaning not in said
    (annotation,) = found[contours.KIND].GraphicAnnotationSequence
    assert "GraphicObjectSequence" in annotation


def test_predict_writes_them_for_dicom_files(tmp_path, capfd, model):
    folder, out = tmp_path / "films", tmp_path / "films" / "out"
    folder.mkdir()
    (folder / "a.dcm").write_bytes(film(6))
    (folder / "b.jpg").write_bytes(jpeg(200))
    (folder / "c.dcm").write_bytes(film(7, StudyInstanceUID=None))
    with serve(model) as port:
        for _ in range(2):  # what it wrote is not asked about
            command = ["predict", str(folder), "--server", f"127.0.0.1:{port}"]
            assert cli.main([*command, "--dicom-out", str(out)]) == 0
            assert "c.dcm: no DICOM objects: the DICOM lacks StudyInst" in capfd.readouterr().err
    names = [f"a.dcm.{kind}.dcm" for kind in ("capture", "contours", "report")]
    assert sorted(path.name for path in out.iterdir()) == names
    said = pydicom.dcmread(out / "a.dcm.report.dcm")
    assert f"{THRESHOLD:.1f}" in str(said)
    assert said.StudyInstanceUID == pydicom.dcmread(folder / "a.dcm").StudyInstanceUID
