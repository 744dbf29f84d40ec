"""docs/ablation.md's table, from the rows that have results."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.intervals import newcombe

DOCUMENT = Path("docs/ablation.md")
_START, _END = "<!-- table -->", "<!-- end of table -->"
_HEAD = (
    "| row | what is changed | AUC | sensitivity at 90 % specificity | unlike: AUC | "
    "unlike: sensitivity, specificity | swapped: AUC | swapped: sensitivity, specificity | "
    "corrupted: AUC | other hospital: AUC |"
)


def write(rows: Mapping[str, Mapping], folder: Path) -> None:
    """Puts the newest figures between the document's two marks."""
    lines = [_HEAD, "|" + "---|" * (_HEAD.count("|") - 1)]
    for name, row in rows.items():
        for result in sorted(folder.glob(f"{name}-[0-9]*.json")):
            lines.append(
                _line(name, result.stem.rpartition("-")[2], row, json.loads(result.read_text()))
            )
    text = DOCUMENT.read_text(encoding="utf-8")
    table = "\n".join((_START, "", *lines, "", _END))
    text = re.sub(f"{_START}.*{_END}", lambda _: table, text, flags=re.S)
    DOCUMENT.write_text(text, encoding="utf-8")


def _line(name: str, seed: str, row: Mapping, figures: Mapping[str, Mapping[str, float]]) -> str:
    clean, unlike, swapped = (figures[name] for name in ("clean", "unlike", "swapped"))
    low, high = newcombe(clean["auc"], 120, 120)
    cells = (
        f"`{name}`" + ("" if seed == "20" else f", seed {seed}"),
        f"{row['asks']}: " + (", ".join(f"`{change}`" for change in row["set"]) or "nothing"),
        f"{clean['auc']:.3f} ({low:.3f}–{high:.3f})",
        f"{clean['sensitivity_at_90']:.3f}",
        f"{unlike['auc']:.3f}",
        f"{unlike['sensitivity']:.2f}, {unlike['specificity']:.2f}",
        f"{swapped['auc']:.3f}",
        f"{swapped['sensitivity']:.2f}, {swapped['specificity']:.2f}",
        f"{figures['corrupted']['auc']:.3f}",
        f"{figures['external']['auc']:.3f}",
    )
    return "| " + " | ".join(cells) + " |"
