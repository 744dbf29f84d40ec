"""docs/ablation.md's table, from the rows that have results."""

import json
from collections.abc import Mapping
from pathlib import Path

from components.statistics import newcombe

DOCUMENT = Path("docs/ablation.md")
_HEAD = (
    *("row", "what is changed", "AUC", "sensitivity at 90 % specificity"),
    *("unlike: AUC", "unlike: sensitivity, specificity"),
    *("swapped: AUC", "swapped: sensitivity, specificity"),
    *("cut above: AUC", "cut above: specificity", "corrupted: AUC", "other hospital: AUC"),
)


def write(rows: Mapping[str, Mapping], folder: Path, every_look: bool) -> None:
    """Puts the newest figures between the document's marks, of the one table or the other.

    Rows without a result in the folder keep the figures they have; those no longer asked go.
    """
    kind = "every look" if every_look else "own look"
    start, end = f"<!-- table: {kind} -->", f"<!-- end of table: {kind} -->"
    text = DOCUMENT.read_text(encoding="utf-8")
    before, rest = text.split(start)
    former, after = rest.split(end)
    lines = former.strip().splitlines()[2:]
    table = [_row(_HEAD), _row(("---",) * len(_HEAD))]
    for name, row in rows.items():
        known = {_first_cell(line): line for line in lines if f"`{name}`" in _first_cell(line)}
        for result in sorted(folder.glob(f"{name}-[0-9]*.json")):
            seed = result.stem.rpartition("-")[2]
            line = _row(_cells(name, seed, row, json.loads(result.read_text())))
            known[_first_cell(line)] = line
        table += known.values()
    text = "\n".join((before + start, "", *table, "", end + after))
    DOCUMENT.write_text(text, encoding="utf-8")


def _first_cell(line: str) -> str:
    return line.split(" | ")[0]


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(
    name: str, seed: str, row: Mapping, figures: Mapping[str, Mapping[str, float]]
) -> tuple[str, ...]:
    clean, unlike, swapped, cut = (figures[name] for name in ("clean", "unlike", "swapped", "cut"))
    low, high = newcombe(clean["auc"], 120, 120)
    return (
        f"`{name}`" + ("" if seed == "20" else f", seed {seed}"),
        f"{row['asks']}: " + (", ".join(f"`{change}`" for change in row["set"]) or "nothing"),
        f"{clean['auc']:.3f} ({low:.3f}–{high:.3f})",
        f"{clean['sensitivity_at_90']:.3f}",
        f"{unlike['auc']:.3f}",
        f"{unlike['sensitivity']:.2f}, {unlike['specificity']:.2f}",
        f"{swapped['auc']:.3f}",
        f"{swapped['sensitivity']:.2f}, {swapped['specificity']:.2f}",
        f"{cut['auc']:.3f}",
        f"{cut['specificity']:.2f}",
        f"{figures['corrupted']['auc']:.3f}",
        f"{figures['external']['auc']:.3f}",
    )
