"""`python -m benchmarks.quality`: which pictures the served `quality` calls unlike a chest X-ray.

The run's own held-out films and another hospital's should pass; photographs, documents, noise and
other kinds of medical pictures should be caught. Below 0.5, command line and page warn.
"""

import argparse
import io
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont
from pydicom import dcmread
from pydicom.data import get_testdata_file
from sklearn.datasets import load_sample_images

from benchmarks import options, packages
from benchmarks.shortcuts import newest
from client.results import LIMIT
from components import names
from components.examples import Split, batches, parsed

_EACH = 100  # drawn pictures of a kind
_FEW = 8  # of each kind, in a rehearsal
_SLICES = ("CT_small.dcm", "MR_small.dcm", "examples_overlay.dcm", "SC_rgb.dcm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--run", type=Path, default=Path("runs/kermany"), help="folder of a finished run"
    )
    parser.add_argument("--quick", action="store_true", help="a few pictures of each kind")
    said = parser.parse_args()
    run = said.run
    model = tf.saved_model.load(str(newest(run / "serving" / "pneumonia")))
    split = Split(newest(run / "artifacts" / "XrayExampleGen" / "examples") / "Split-test")
    external = Path(os.environ.get("PNEUMONIA_XRAYS", "../shared/xrays")) / "external"
    kinds = {
        "held-out films of the run": (parsed([r])[names.IMAGE][0] for r in split.records()),
        "adults of another hospital": (p.read_bytes() for p in sorted(external.rglob("*.jp*g"))),
        "photographs and their quarters": photographs(),
        "documents": documents(),
        "noise and gradients": noise(),
        "slices of CT and MR": slices(),
    }
    rows = []
    for name, pictures in kinds.items():
        quality = asked(model, itertools.islice(pictures, _FEW) if said.quick else pictures)
        below = float((quality < LIMIT).mean())
        median = float(np.median(quality))
        rows.append((name, str(len(quality)), f"{below:.1%}", f"{median:.2f}"))
    print(options.table(("pictures", "count", "below 0.5", "median quality"), rows))


def asked(model: Any, pictures: Iterator[bytes]) -> np.ndarray:
    return np.concatenate(
        [
            model.signatures[names.PREDICT_IMAGE](tf.constant(batch))[names.QUALITY].numpy()
            for batch in batches(pictures)
        ]
    )


def photographs() -> Iterator[bytes]:
    """Those of scikit-learn and scikit-image, whole and in quarters, in colour and in grey."""
    with tempfile.TemporaryDirectory() as folder:
        packages.install(Path(folder), "--no-deps", "scikit-image==0.25.2")
        paths = sorted(Path(folder, "skimage/data").glob("*.[jp][pn]g"))
        photos = [Image.open(path).convert("RGB") for path in paths]
    photos += [Image.fromarray(image) for image in load_sample_images().images]
    for photo in photos:
        width, height = photo.width // 2, photo.height // 2
        for left, top in ((0, 0), (width, 0), (0, height), (width, height)):
            yield encoded(photo.crop((left, top, left + width, top + height)))
        yield encoded(photo)
        yield encoded(photo.convert("L"))


def documents() -> Iterator[bytes]:
    """Pages of words, light or dark, in several sizes of type."""
    rng = np.random.default_rng(0)
    path = font_manager.findfont("DejaVu Sans")
    words = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8").split()
    for number in range(_EACH):
        size = int(rng.integers(10, 40))
        font = ImageFont.truetype(path, size)
        paper, ink = (0, 255) if number % 4 == 0 else (255, 0)
        page = Image.new("L", (800, 1000), paper)
        draw = ImageDraw.Draw(page)
        for top in range(40, 960, round(1.4 * size)):
            line = " ".join(rng.choice(words, 12))
            draw.text((40, top), line, fill=ink, font=font)
        yield encoded(page)


def noise() -> Iterator[bytes]:
    rng = np.random.default_rng(1)
    for number in range(_EACH):
        coarse = int(rng.integers(2, 300))
        values = rng.uniform(0, 256, (coarse, coarse))
        if number % 3 == 0:
            values = np.linspace(0, rng.uniform(1, 256), 300 * 300).reshape(300, 300)
        picture = Image.fromarray(values.astype(np.uint8))
        yield encoded(picture.resize((500, 500), Image.Resampling.BICUBIC))


def slices() -> Iterator[bytes]:
    for name in _SLICES:
        path = get_testdata_file(name, download=False)
        if path is None:
            continue
        values = np.asarray(dcmread(path).pixel_array, np.float64)
        values = 255 * (values - values.min()) / max(np.ptp(values), 1)
        yield encoded(Image.fromarray(values.astype(np.uint8)))


def encoded(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    main()
