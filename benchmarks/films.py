"""Real X-rays laid out for a benchmark: whole patients, the same each time."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from components import names

XRAYS = Path(os.environ.get("PNEUMONIA_XRAYS", "../shared/xrays")) / "kermany224"


def lay_out(folder: Path, train: int, test: int) -> Path:
    """Copies X-rays into `train` and `test`, the public set's classes in its own proportion.

    `train` is what the product divides into train and val. Returns the folder.
    """
    from components.ingest import patients

    pattern = patients.compile_pattern(None)
    files: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(XRAYS.rglob("*.jp*g")):
        patient = patients.from_name(path.name, pattern) or path.name
        files.setdefault((path.parent.name, patient), []).append(path)
    if not files:
        raise SystemExit(f"{XRAYS}: no film in it; set PNEUMONIA_XRAYS to the folder above it")
    classes = {name: [key for key in files if key[0] == name] for name in names.CLASSES}
    total = sum(map(len, files.values()))
    for name, keys in classes.items():
        ours = iter(sorted(keys, key=lambda key: patients.group(key[1], 0)))
        share = sum(len(files[key]) for key in keys) / total
        for split, count in (("train", train), ("test", test)):
            if not count:
                continue
            target = folder / split / name
            target.mkdir(parents=True, exist_ok=True)
            for path in _enough(ours, files, round(share * count)):
                shutil.copy(path, target)
    return folder


def _enough(
    keys: Iterator[tuple[str, str]], files: dict[tuple[str, str], list[Path]], count: int
) -> Iterator[Path]:
    """All films of one patient after another, until there are `count`."""
    taken = 0
    for key in keys:
        yield from files[key]
        taken += len(files[key])
        if taken >= count:
            return


def as_split(examples: Path, data: Path, folder: Path) -> Path:
    """Links the films into train/, val/ and test/ as the product's ingest has split them."""
    from components.examples import Split, parsed

    for split in names.SPLITS:
        for record in Split(examples / f"Split-{split}").records():
            values = parsed([record])
            name = names.CLASSES[int(values[names.LABEL][0])]
            target = folder / split / name / Path(values[names.FILENAME][0]).name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(data / values[names.FILENAME][0], target)
    return folder
