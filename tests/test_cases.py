"""The odd films of PNEUMONIA_XRAYS' neighbour `cases` through predict, data check and ingest alike.

All hold the same drawn chest; its README says what each is to give.
"""

import csv
import io
import json
from functools import partialmethod
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

import cli
from client import protos, tensors
from client.client import PneumoniaClient
from components import names
from components.ingest.settings import DataConfig
from pipeline.datasets.check import check
from tests.client.fake_server import FakeModel, serve
from tests.components.ingest.xray_sets import both_classes, ingest, write

AS_PLAIN = (
    *("12-bits-in-16.png", "broken-exif.png", "empty-voi-function.dcm", "modality-lut-12-bits.dcm"),
    *("no-modality.dcm", "no-preamble.dcm", "plain.dcm", "voi-item-without-lut.dcm"),
    *("voi-lut-says-16-bits-holds-12.dcm", "window-width-0.dcm"),
)
REFUSED = {"jpeg-xl.dcm": "JPEG XL", "no-transfer-syntax.dcm": "TransferSyntaxUID"}
PADDING, EXTENDED = "pixel-padding.dcm", "jpeg-extended-12-bits.dcm"

pytestmark = pytest.mark.xrays


class Listener(FakeModel):
    """Keeps what it is sent."""

    def predict(self, request: protos.PredictRequest, context: object) -> object:
        (content,) = tensors.to_numpy(request.inputs["image_bytes"])
        self.sent.append(content)
        return super().predict(request, context)

    sent: list[bytes]


Given = dict[str, np.ndarray]
Told = tuple[Given, dict[str, str]]  # grey levels of the films read, what is said of the others


@pytest.fixture(scope="module")
def cases(xrays, tmp_path_factory) -> Path:
    """A set of NORMAL films that are the cases, among films of both classes."""
    folder = xrays.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"no odd films in {folder}")
    base = write(tmp_path_factory.mktemp("cases") / "set", both_classes(30))
    odd = [path for path in folder.iterdir() if path.suffix != ".md"]
    return write(base, {f"NORMAL/{path.name}": path.read_bytes() for path in odd})


def _pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(int)


def _by_ingest(base: Path, out: Path, _: pytest.CaptureFixture[str]) -> Told:
    done = ingest(base, out, max_rejected=0.5)
    told = {}
    written = {name: _pixels(film[names.IMAGE]) for name, film in done.by_name().items()}
    for table, column in (("duplicates.csv", "same_bytes_as"), ("rejects.csv", "detail")):
        with (out / "ledger" / table).open(encoding="utf-8") as file:
            told |= {row["file"]: row[column] for row in csv.DictReader(file)}
    copies = {name: other for name, other in told.items() if other in written}
    written |= {name: written[other] for name, other in copies.items()}
    return written, {name: said for name, said in told.items() if name not in copies}


def _by_predict(base: Path, _: Path, capfd: pytest.CaptureFixture[str]) -> Told:
    model = Listener()
    model.sent = []
    with serve(model) as port:
        words = (str(base), "--format", "json", "--server", f"127.0.0.1:{port}")
        with pytest.MonkeyPatch.context() as patch:  # else nobody knows which film was sent when
            patch.setattr(PneumoniaClient, "stream", partialmethod(PneumoniaClient.stream, most=1))
            cli.main(["predict", *words])
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    names_of = {row["file"]: str(Path(row["file"]).relative_to(base)) for row in rows}
    answered = [names_of[row["file"]] for row in rows if not row["error"]]
    shown = dict(zip(answered, map(_pixels, model.sent), strict=True))
    return shown, {names_of[row["file"]]: row["message"] for row in rows if row["error"]}


def _by_check(base: Path, _: Path, __: pytest.CaptureFixture[str]) -> Told:
    from client import images

    found = check(base, DataConfig(max_rejected=0.5, file_names=True))
    shown = {film.name: _pixels(images.read(base / film.name).data) for film in found.films}
    return shown, {reject.name: reject.detail for reject in found.rejects}


@pytest.mark.parametrize("by", [_by_ingest, _by_predict, _by_check])
def test_every_odd_film_gives_what_its_readme_asks(cases, tmp_path, capfd, by):
    shown, said = by(cases, tmp_path / "out", capfd)
    shown = {Path(name).name: film for name, film in shown.items()}
    said = {Path(name).name: text for name, text in said.items()}
    plain = shown["plain.png"]
    for name in AS_PLAIN:
        assert np.abs(shown[name] - plain).max() <= 2, name
    for name, word in REFUSED.items():
        assert word in said.pop(name)
    assert not said
    border = pydicom.dcmread(cases / "NORMAL" / PADDING).pixel_array == 65_535
    assert not shown[PADDING][border].any()
    assert np.abs(shown[PADDING] - plain)[~border].max() <= 2
    ramp = shown[EXTENDED]
    assert (ramp.min(), ramp.max()) == (0, 255)
    assert (np.diff(ramp.ravel()) >= 0).all() or (np.diff(ramp, axis=1) >= 0).all()


def test_greys_of_12_bits_in_16_are_told_by_each(cases, tmp_path, capfd):
    note = "a PNG of 16 bits whose greys use 12"
    assert any(
        note in one for one in ingest(cases, tmp_path / "out", max_rejected=0.5).report.notes
    )
    assert any(note in finding.text for finding in check(cases).findings)
    with serve(FakeModel()) as port:
        film = str(cases / "NORMAL" / "12-bits-in-16.png")
        cli.main(["predict", film, "--server", f"127.0.0.1:{port}"])
    assert note in capfd.readouterr().out
