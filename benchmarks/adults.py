"""`python -m benchmarks.adults`: the model, trained on children, on adults' films.

Judged by what radiologists saw (external/radiologists.csv of PNEUMONIA_XRAYS), which labels mined
from reports cannot do; and how many of all frontal films there it would rather not judge.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from benchmarks import options
from benchmarks.shortcuts import newest
from client.results import LIMIT
from components import names
from components.examples import batches
from components.statistics import area_under_roc, newcombe, wilson

FOLDERS = ("external", "hannover", "cases")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, default=Path("runs/kermany"), help="a finished run")
    parser.add_argument("--model", type=Path, help="a SavedModel, in place of the run's newest")
    said = parser.parse_args()
    model = tf.saved_model.load(str(said.model or newest(said.run / "serving" / "pneumonia")))
    xrays = Path(os.environ.get("PNEUMONIA_XRAYS", "../shared/xrays"))
    read = pd.read_csv(xrays / "external" / "radiologists.csv")
    read = read.join(asked(model, [xrays / "external" / file for file in read.file]))
    print(options.table(("films of external/", "sick", "others", "AUC", "95 %"), aucs(read)))
    print(options.table(("frontal films", "count", "no chest film", "unlike", "called sick"), [
        shares(folder, asked(model, sorted((xrays / folder).rglob("*.jpg")))) for folder in FOLDERS
    ]))  # fmt: skip


def asked(model: tf.Module, paths: list[Path]) -> pd.DataFrame:
    """The model's scores, a row for each film."""
    predict = model.signatures[names.PREDICT_IMAGE]
    answers = [predict(tf.constant(batch)) for batch in batches(p.read_bytes() for p in paths)]
    kept = (names.PROBABILITY, names.LABEL, names.QUALITY, names.FAMILIARITY)
    return pd.DataFrame(
        {name: np.concatenate([answer[name].numpy() for answer in answers]) for name in kept}
    )


def aucs(read: pd.DataFrame) -> list[tuple[str, ...]]:
    """Opacity against other films, with the intervals of Newcombe."""
    opacity, normal = read.radiologists == "opacity", read.radiologists == "normal"
    others = {
        "opacity against normal": normal,
        "the same, PA alone": normal & (read["view"] == "PA"),
        "the same, AP alone": normal & (read["view"] == "AP"),
        "opacity against all others": ~opacity,
    }
    rows: list[tuple[str, ...]] = []
    for name, negative in others.items():
        view = next((view for view in ("PA", "AP") if f"{view} alone" in name), None)
        part = read[(negative | opacity) & (read["view"] == view if view else True)]
        sick = (part.radiologists == "opacity").to_numpy()
        auc = area_under_roc(part[names.PROBABILITY].to_numpy(), sick)
        positives, negatives = int(sick.sum()), int((~sick).sum())
        interval = newcombe(auc, positives, negatives)
        rows.append(
            (
                name,
                str(positives),
                str(negatives),
                f"{auc:.3f}",
                "{:.2f} to {:.2f}".format(*interval),
            )
        )
    return rows


def shares(folder: str, answers: pd.DataFrame) -> tuple[str, ...]:
    """How many are no chest film to the model, unlike the films it learned from, and sick."""
    count = len(answers)
    found = (
        answers[names.QUALITY] < LIMIT,
        answers[names.FAMILIARITY] < LIMIT,
        answers[names.LABEL] == 1,
    )
    texts = (
        f"{each.mean():.1%} ({{:.1%}} to {{:.1%}})".format(*wilson(each.sum(), count))
        for each in found
    )
    return (folder, str(count), *texts)


if __name__ == "__main__":
    main()
