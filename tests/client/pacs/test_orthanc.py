"""The whole way with a real PACS: Orthanc, dcmtk's senders, dicom3tools' validator."""

import io
import subprocess

import numpy as np
import pydicom
import pytest
from highdicom.sr import srread
from pydicom.sr.codedict import codes

from client.pacs.answers import report
from tests.client.fake_server import THRESHOLD, VERSION
from tests.client.pacs.films import film
from tests.client.pacs.orthanc import wait_for

pytestmark = pytest.mark.pacs


def send(path, port: int, *options: str, caller: str = "STORESCU", called: str = "PNEUMONIA"):
    """dcmtk's storescu; returns its exit code and words."""
    command = ["storescu", "-aet", caller, "-aec", called, *options, "127.0.0.1", str(port), path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    return done.returncode, done.stdout + done.stderr


def answers_of(orthanc, content: bytes) -> dict[str, pydicom.Dataset]:
    """The answers in a film's study, by modality, once all three are there."""
    study = str(pydicom.dcmread(io.BytesIO(content)).StudyInstanceUID)
    ids = wait_for(lambda: len(found := orthanc.answers(study)) == 3 and found)
    datasets = [pydicom.dcmread(io.BytesIO(orthanc.file(one))) for one in ids]
    assert {dataset.StudyInstanceUID for dataset in datasets} == {study}
    return {dataset.Modality: dataset for dataset in datasets}


def assert_sound(dataset: pydicom.Dataset, path) -> None:
    dataset.save_as(path)
    said = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True)
    assert "Error" not in said.stderr, said.stderr
    assert said.returncode == 0


def figures(dataset: pydicom.Dataset, path) -> tuple[dict, dict]:
    """A report's measurements and evaluations by code value, as highdicom reads them."""
    dataset.save_as(path)
    (group,) = srread(path).content.get_image_measurement_groups()
    measured = {item.name.value: item.value for item in group.get_measurements()}
    evaluated = {i.name.value: i.value.value for i in group.get_qualitative_evaluations()}
    return measured, evaluated


def test_a_film_that_orthanc_forwards_is_answered_in_its_study(orthanc, gateway, model, tmp_path):
    content = film(1)
    path = tmp_path / "film.dcm"
    path.write_bytes(content)
    code, said = send(path, orthanc.dicom, caller="MODALITY", called="ORTHANC")
    assert code == 0, said
    (instance,) = orthanc.get("/instances")
    orthanc.forward(instance)
    found = answers_of(orthanc, content)
    assert set(found) == {"SR", "OT", "PR"}
    for modality, dataset in found.items():
        assert_sound(dataset, tmp_path / f"{modality}.dcm")
        assert dataset.PatientName == "Wintergreen^Ottoline"
    measured, evaluated = figures(found["SR"], tmp_path / "report.dcm")
    shade = np.mean(np.asarray(pixels(content)) / 255)
    assert measured[report.PROBABILITY.value] == pytest.approx(shade, abs=1e-3)
    assert measured[report.THRESHOLD.value] == pytest.approx(THRESHOLD)
    assert measured["QUALITY"] == pytest.approx(0.9)
    assert str(VERSION) in str(found["SR"])
    assert "Research use only" in str(found["SR"])
    decision = report.DETECTED if shade >= THRESHOLD else report.NOT_DETECTED
    assert evaluated[report.PNEUMONIA.value] == decision.value
    film_uid = pydicom.dcmread(path).SOPInstanceUID
    assert found["OT"].SourceImageSequence[0].ReferencedSOPInstanceUID == film_uid
    assert found["OT"].pixel_array.ndim == 3
    assert model.calls == ["cam"]


def pixels(content: bytes):
    from PIL import Image

    from client.images import read

    return Image.open(io.BytesIO(read(content).data))


def test_a_film_that_is_found_over_dicomweb_is_answered_there(orthanc, start_gateway, model):
    content = film(2, StudyDate=today())
    orthanc.upload(content)
    lateral = film(3, StudyDate=today(), ViewPosition="LL")
    orthanc.upload(lateral)
    gateway = start_gateway("--pacs", orthanc.web, "--watch", "0.5")
    assert set(answers_of(orthanc, content)) == {"SR", "OT", "PR"}
    wait_for(lambda: gateway.films()["ignored"] == 1)
    later = film(4, StudyDate=today())
    orthanc.upload(later)
    answers_of(orthanc, later)
    wait_for(lambda: gateway.films()["stored"] == 2)
    assert len(model.calls) == 2


def today() -> str:
    from datetime import date

    return f"{date.today():%Y%m%d}"


def test_a_film_that_does_not_look_like_one_is_answered_as_not_judged(
    orthanc, gateway, model, tmp_path
):
    model.quality, model.familiarity = 0.1, 0.9
    content = film(5)
    orthanc.forward(orthanc.upload(content))
    found = answers_of(orthanc, content)
    for modality, dataset in found.items():
        assert_sound(dataset, tmp_path / f"{modality}.dcm")
    measured, evaluated = figures(found["SR"], tmp_path / "report.dcm")
    assert report.PROBABILITY.value not in measured
    assert evaluated[report.PNEUMONIA.value] == report.UNDETERMINED.value
    assert evaluated[codes.DCM.QualityAssessment.value] == report.INSUFFICIENT.value


def test_a_resend_is_no_duplicate_and_a_newer_version_points_at_the_older(
    orthanc, gateway, model, tmp_path
):
    content = film(6)
    path = tmp_path / "film.dcm"
    path.write_bytes(content)
    assert send(path, gateway.listen)[0] == 0
    old = answers_of(orthanc, content)["SR"]
    assert send(path, gateway.listen)[0] == 0
    assert len(model.calls) == 1
    model.version += 100
    gateway.stop()
    gateway.start()  # it knows the newer version from its first look at the server

    def answered_anew():
        assert send(path, gateway.listen)[0] == 0
        return len(orthanc.answers()) == 6

    wait_for(answered_anew)
    reports = [pydicom.dcmread(io.BytesIO(orthanc.file(one))) for one in orthanc.answers()]
    (new,) = (r for r in reports if r.Modality == "SR" and r.SOPInstanceUID != old.SOPInstanceUID)
    earlier = new.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert earlier.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == old.SOPInstanceUID
    assert earlier.SeriesInstanceUID == old.SeriesInstanceUID
    assert_sound(new, tmp_path / "new.dcm")
