"""What came of asking a model about changed films, on disk."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from components.counterfactuals.figures import ChangeRow
from components.counterfactuals.pictures import PicturePair
from components.evaluator.results import Bound, Figure
from components.files import replacing

_FILE: Final = "counterfactuals.json"


@dataclass(frozen=True)
class Findings:
    """What came of the asking.

    films: that were asked. without_lungs: that could not be, as no two lungs were found on them.
    figures: measured. bounds: those of them that are asked for. rows: each change. pictures: films
    that gave the model away.
    """

    films: int
    without_lungs: int
    figures: tuple[Figure, ...] = ()
    bounds: tuple[Bound, ...] = ()
    rows: tuple[ChangeRow, ...] = ()
    pictures: tuple[PicturePair, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every bound is met."""
        return all(bound.ok for bound in self.bounds)


def write(found: Findings, folder: Path) -> None:
    """Writes `counterfactuals.json` beside the pictures.

    Args:
        found: what is written; its pictures lie in the folder.
        folder: exists.
    """
    with replacing(folder / _FILE) as file:
        file.write(json.dumps(asdict(found), indent=1).encode())


def read(folder: Path) -> Findings:
    """What was written; the pictures' files by their whole paths."""
    values = json.loads((folder / _FILE).read_text("utf-8"))
    found = TypeAdapter(Findings).validate_python(values)
    return replace(found, pictures=tuple(shown.below(folder) for shown in found.pictures))
