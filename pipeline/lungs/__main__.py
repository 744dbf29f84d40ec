"""Trains the lung network and the judge of frontal films."""

import argparse
from pathlib import Path

import numpy as np

from components.image import frontal, lung_network
from pipeline.lungs import judge, measure, teachers, train
from pipeline.lungs.others import other

_SEED = 21
_DRAWN = 240
_CHILDREN = 1200
_OTHERS = 1500
_WIPED = 1000
_FIRST_STEPS, _SECOND_STEPS, _JUDGE_STEPS = 900, 1800, 900


def main() -> None:
    """Three rounds: outlined and drawn films; these and children's that are sure; the judge."""
    parser = argparse.ArgumentParser("python -m pipeline.lungs", description=__doc__)
    parser.add_argument("--lungs", type=Path, required=True, help="NAME.jpg and NAME_lungs.png")
    parser.add_argument("--films", type=Path, required=True, help="frontal films, at any depth")
    parser.add_argument("--out", type=Path, default=lung_network.WEIGHTS.parent, help="a folder")
    parser.add_argument("--judge-only", action="store_true", help="keep --out's lung network")
    options = parser.parse_args()

    films = [path for path in sorted(options.films.rglob("*.jp*g")) if not teachers.held_back(path)]
    chosen = np.random.default_rng(_SEED).permutation(len(films))[:_CHILDREN]
    children = [films[index] for index in chosen]
    adults = teachers.outlined(options.lungs, judging=False)
    drawn = teachers.drawn(_DRAWN, _SEED)
    rng = np.random.default_rng(_SEED)
    nothing = teachers.without_lungs(np.stack([other(rng) for _ in range(_OTHERS)]))
    lung_file = options.out / lung_network.WEIGHTS.name
    if not options.judge_only:
        weights = _lung_network(adults, drawn, nothing, children)
        train.save(weights, lung_file)
    lungs = lung_network.read_weights(lung_file)
    measure.dice_with_outlines(options.lungs, lungs)
    seen = teachers.seen(children, lungs)
    plain = len(seen.films) // len(teachers.FORMS)
    places = rng.integers(plain, size=_WIPED)
    wiped = np.stack([judge.wiped(rng, seen.films[n], seen.lungs[n]) for n in places])
    none = np.concatenate([nothing.films, teachers.without_lungs(wiped).films])
    judging = train.initial(frontal.shapes(), _SEED)
    chests = [seen, seen, teachers.slid(adults, lungs), drawn]
    judge.fit(judging, lungs, chests, none, _JUDGE_STEPS, _SEED)
    train.save(judging, options.out / frontal.WEIGHTS.name)


def _lung_network(
    adults: teachers.Teachers,
    drawn: teachers.Teachers,
    nothing: teachers.Teachers,
    children: list[Path],
) -> dict:
    weights = train.initial(lung_network.shapes(), _SEED)
    train.fit(weights, [(adults, 14), (drawn, 10)], _FIRST_STEPS, _SEED)
    first = train.values(weights)
    adults, sure = teachers.slid(adults, first), teachers.agreed(children, first)
    print(f"{len(sure.films) // len(teachers.FORMS)} of {len(children)} films were sure")
    parts = [(adults, 10), (drawn, 3), (sure, 8), (nothing, 3)]
    train.fit(weights, parts, _SECOND_STEPS, _SEED + 1)
    return weights


if __name__ == "__main__":
    main()
