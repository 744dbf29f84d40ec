"""Whether class-activation maps can be believed: place, faithfulness, dependence on the weights."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import stats

Maps = NDArray[np.float32]  # [N,S,S]
Predict = Callable[[list[bytes]], NDArray[np.float32]]

STEPS: Final = (0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)  # shares of the film taken away
_CORNER: Final = 0.2  # of the side; the four corners hold 16 % of the film
_MUCH_CORNER: Final = 0.3  # more of it in the corners is told: there markers lie


@dataclass(frozen=True)
class Place:
    """Where one map's heat lies.

    lungs: its share in the lungs, and by_chance: the lungs' own share of the film, which even heat
    would have; both nan where no lungs are found. corners: its share in the four corners.
    """

    lungs: float
    by_chance: float
    corners: float

    @property
    def flagged(self) -> bool:
        """Whether the map looks at something else than the lungs."""
        return self.corners > _MUCH_CORNER or self.lungs < self.by_chance


@dataclass(frozen=True)
class Curve:
    """Mean probability after each of STEPS, hottest places first; `random`: in random order."""

    deletion: tuple[float, ...]
    insertion: tuple[float, ...]
    random: tuple[float, ...]

    @property
    def is_faithful(self) -> bool:
        """Whether taking the hottest places costs more probability than taking any."""
        return area(self.deletion) < area(self.random)


def place(heatmaps: Maps, lungs: Maps) -> list[Place]:
    """Where the heat of each map lies; a map without heat is left out.

    Args:
        heatmaps: float32[N,S,S] in [0,1].
        lungs: float32[N,S,S] in [0,1], the lung fields of the same films; 1 everywhere
            where none were found.
    """
    side = round(_CORNER * heatmaps.shape[1])
    ends = np.r_[:side, -side:0]
    places = []
    for heat, lung in zip(heatmaps, lungs, strict=True):
        mass = float(heat.sum())
        if mass > 0:
            found = lung.min() < 1
            places.append(
                Place(
                    lungs=float((heat * lung).sum()) / mass if found else math.nan,
                    by_chance=float(lung.mean()) if found else math.nan,
                    corners=float(heat[np.ix_(ends, ends)].sum()) / mass,
                )
            )
    return places


def area(values: Sequence[float]) -> float:
    """Under a curve over STEPS, by trapezoids; in [0,1]."""
    return float(np.trapezoid(values, STEPS))


def curves(
    films: Sequence[NDArray[np.uint8]],
    maps: Maps,
    predict: Predict,
    encode: Callable[[NDArray[np.uint8]], bytes],
    seed: int = 0,
) -> Curve:
    """Deletion and insertion: what the places are worth to the model, hottest first.

    Source: Petsiuk, Das, Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box
    Models", BMVC 2018; what is taken away is blurred, not blackened, so that no edge appears.

    Args:
        films: uint8[S,S] each, squashed to the maps' square.
        maps: float32[N,S,S], evidence or heat.
        predict: encoded images to probabilities.
        encode: an image to what `predict` reads, without loss.
        seed: of the random order.
    """
    generator = np.random.default_rng(seed)
    series: dict[str, list[NDArray[np.float32]]] = {"deletion": [], "insertion": [], "random": []}
    for film, heat in zip(films, maps, strict=True):
        blurred = np.asarray(Image.fromarray(film).filter(ImageFilter.GaussianBlur(16)))
        hottest = _ranks(heat)
        # Blocks as large as a map's own places: single pixels would be noise, not absence.
        blocks = generator.random((14, 14)).repeat(-(-film.shape[0] // 14), 0)
        blocks = blocks.repeat(-(-film.shape[1] // 14), 1)[: film.shape[0], : film.shape[1]]
        anywhere = _ranks(blocks)
        for name, ranks, before, after in (
            ("deletion", hottest, film, blurred),
            ("insertion", hottest, blurred, film),
            ("random", anywhere, film, blurred),
        ):
            images = [encode(np.where(ranks < share, after, before)) for share in STEPS]
            series[name].append(predict(images))
    return Curve(**{name: tuple(np.mean(found, 0).tolist()) for name, found in series.items()})


def likeness(maps: Maps, others: Maps) -> float:
    """Mean absolute rank correlation of two sets of maps.

    Near 1, others come out of other weights as the same maps: then the maps show the film, not
    what the model learned. Source: Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.

    Args:
        maps: float32[N,h,w].
        others: float32[N,h,w], of the same films.

    Returns:
        In [0,1].
    """
    pairs = zip(maps, others, strict=True)
    rhos = [abs(stats.spearmanr(one.ravel(), other.ravel()).statistic) for one, other in pairs]
    return float(np.nanmean(rhos))


def _ranks(values: NDArray) -> NDArray[np.floating]:
    """0 for the highest value, rising to just under 1."""
    order = np.argsort(-values.ravel(), kind="stable")
    ranks = np.empty(order.size)
    ranks[order] = np.arange(order.size) / order.size
    return ranks.reshape(values.shape)
