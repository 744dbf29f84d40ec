"""`python -m benchmarks.heatmaps`: a sheet of heat maps on sick films that the model never saw.

People look at it (docs/images/heatmaps.jpg); the table says where the hottest place lies.
"""

import argparse
import io
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from benchmarks import options
from benchmarks.shortcuts import newest
from components import names
from components.examples import Split, batches

SHEET = Path(__file__).parent.parent / "docs" / "images" / "heatmaps.jpg"
_COLUMNS, _SIDE = 8, 190


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, default=Path("runs/kermany"), help="a finished run")
    parser.add_argument("--films", type=int, default=48)
    parser.add_argument("--quick", action="store_true", help="8 films, no sheet")
    said = parser.parse_args()
    split = Split(newest(said.run / "artifacts" / "XrayExampleGen" / "examples") / "Split-test")
    sick = np.flatnonzero(np.array(split.labels()) == 1)
    drawn = np.random.default_rng(48).permutation(sick)[: 8 if said.quick else said.films]
    cam = tf.saved_model.load(str(newest(said.run / "serving" / "pneumonia"))).signatures[names.CAM]
    answers = [cam(tf.constant(batch)) for batch in batches(split.images(sorted(drawn.tolist())))]
    heat, lungs, overlays = (
        np.concatenate([answer[name].numpy() for answer in answers])
        for name in (names.HEATMAP, names.LUNGS, names.OVERLAY)
    )
    if not said.quick:
        sheet(overlays).save(SHEET, quality=80, optimize=True)
    hottest = heat.reshape(len(heat), -1).argmax(axis=1)
    at = np.take_along_axis(lungs.reshape(len(lungs), -1), hottest[:, None], axis=1)[:, 0]
    shown = heat.max(axis=(1, 2)) > 0
    rows = [
        ("in a lung", str(int((shown & (at > 0.5)).sum()))),
        ("elsewhere", str(int((shown & (at <= 0.5)).sum()))),
        ("no heat: called normal", str(int((~shown).sum()))),
    ]
    print(options.table((f"hottest place of {len(heat)} sick films", "films"), rows))


def sheet(overlays: np.ndarray) -> Image.Image:
    """The overlays, encoded PNGs, each within a square, in rows of eight."""
    rows = -(-len(overlays) // _COLUMNS)
    page = Image.new("RGB", (_COLUMNS * _SIDE, rows * _SIDE))
    for place, overlay in enumerate(overlays):
        film = Image.open(io.BytesIO(overlay)).convert("RGB")
        film.thumbnail((_SIDE - 4, _SIDE - 4))
        page.paste(film, (place % _COLUMNS * _SIDE, place // _COLUMNS * _SIDE))
    return page


if __name__ == "__main__":
    main()
