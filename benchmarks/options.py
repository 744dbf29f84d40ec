"""The one switch that every benchmark takes."""

import argparse
from collections.abc import Sequence


def parser(text: str) -> argparse.ArgumentParser:
    """With the switch."""
    asked = argparse.ArgumentParser(description=text.split("\n")[0])
    asked.add_argument("--quick", action="store_true", help="a rehearsal; its figures say little")
    return asked


def quick(text: str) -> bool:
    """Whether `--quick` was given: a rehearsal, too small for its figures to be kept."""
    return parser(text).parse_args().quick


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Markdown."""
    lines = (head, ("---",) * len(head), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
