"""Trains the lung network: `python -m pipeline.lungs --lungs DIR --films DIR --out FILE`."""

import argparse
from pathlib import Path

import numpy as np
import tensorflow as tf

from components.image.lung_network import lung_fields
from pipeline.lungs import teachers, train

_SEED = 21
_DRAWN = 240
_CHILDREN = 1200
_FIRST_STEPS, _SECOND_STEPS = 900, 1500


def main() -> None:
    """Two rounds: outlined and drawn films, then these and children's films that are sure."""
    parser = argparse.ArgumentParser("python -m pipeline.lungs", description=__doc__)
    parser.add_argument("--lungs", type=Path, required=True, help="NAME.jpg and NAME_lungs.png")
    parser.add_argument("--films", type=Path, required=True, help="frontal films, any depth")
    parser.add_argument("--out", type=Path, required=True, help="the weights, NAME.npz")
    options = parser.parse_args()

    adults = teachers.outlined(options.lungs, judging=False)
    drawn = teachers.drawn(_DRAWN, _SEED)
    weights = train.initial(_SEED)
    train.fit(weights, [(adults, 14), (drawn, 10)], _FIRST_STEPS, _SEED)
    _judge(options.lungs, weights)
    films = [path for path in sorted(options.films.rglob("*.jp*g")) if not teachers.held_back(path)]
    some = np.random.default_rng(_SEED).permutation(len(films))[:_CHILDREN]
    values = {name: weight.value for name, weight in weights.items()}
    children = teachers.agreed((films[index] for index in some), values)
    print(f"{len(children.films) // len(teachers.FORMS)} of {len(some)} films were sure")
    train.fit(weights, [(adults, 9), (drawn, 5), (children, 10)], _SECOND_STEPS, _SEED + 1)
    _judge(options.lungs, weights)
    train.save(weights, options.out)


def _judge(folder: Path, weights: dict) -> None:
    held = teachers.outlined(folder, judging=True)
    values = {name: weight.value for name, weight in weights.items()}
    found = lung_fields(tf.constant(held.films, tf.float32), values)
    scores = [teachers.dice(one, truth) for one, truth in zip(found, held.lungs, strict=True)]
    print(f"Dice on {len(scores)} held back: {np.mean(scores):.4f}, lowest {min(scores):.4f}")


if __name__ == "__main__":
    main()
