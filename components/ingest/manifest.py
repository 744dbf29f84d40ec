"""Reads a person's own manifest: a table with a row for each file."""

from collections.abc import Iterator

from components import names
from components.ingest import groups
from components.ingest.entry import Entry, IngestError
from components.ingest.settings import COLUMNS, DataConfig
from components.ingest.tables import OTHER_FINDING, Table, Words

ETIOLOGIES = ("normal", "bacteria", "virus", "unknown")
SPLITS = {
    "train": names.TRAIN,
    "training": names.TRAIN,
    "val": names.VAL,
    "valid": names.VAL,
    "validation": names.VAL,
    "test": names.TEST,
    "testing": names.TEST,
}


def entries(table: Table, config: DataConfig) -> Iterator[Entry]:
    """Streams a manifest's files, as they stand in it.

    Args:
        table: with the columns path, label, patient_id, and split, etiology, source where it has
            them, or those that `data.columns` names in their place.
        config: the columns' names, the labels' words, how a path tells the patient.

    Raises:
        IngestError: a column is missing, or a value is none that is known.
    """
    columns = _columns(table, config)
    of_groups = groups.columns(table, config.groups)
    words = Words(config.positive, config.negative)
    has_rule = bool(config.positive or config.negative)
    for where, row in table.rows():
        values = {name: row.get(column, "") for name, column in columns.items()}
        if not values["path"]:
            raise IngestError(f"{where}: the path is empty")
        label = words.label(values["label"]) if values["label"] else None
        other = bool(values["label"]) and label is None
        if other and not has_rule:
            raise IngestError(
                f"{where}: label {values['label']!r} is none of {words}; say in data.positive and "
                "data.negative which words mean pneumonia and which none"
            )
        split = _choice(where, "split", values, tuple(SPLITS))
        yield Entry(
            path=_path(table, values["path"]),
            label=label,
            official_test=bool(split) and SPLITS[split] == names.TEST,
            patient=values["patient_id"] or None,
            etiology=_choice(where, "etiology", values, ETIOLOGIES) or None,
            source=values["source"] or None,
            left_out=OTHER_FINDING if other else "",
            told={column: row[column] for column in of_groups},
        )


def _columns(table: Table, config: DataConfig) -> dict[str, str]:
    columns = {name: config.columns.get(name, name).strip().lower() for name in COLUMNS}
    needed = ("path", "label", *(() if config.patient_pattern else ("patient_id",)))
    wanted = {name: columns[name] for name in (*needed, *config.columns)}
    missing = [column for column in dict.fromkeys(wanted.values()) if column not in table.columns]
    if missing:
        found = ", ".join(column for column in table.columns if column) or "none"
        hint = (
            "put a comma, a semicolon or a tab between them"
            if len(table.columns) < 2
            else f"say which is which: --set data.columns.{next(iter(wanted))}=NAME"
        )
        raise IngestError(
            f"{table.path}: has no column {', '.join(missing)}; its columns: {found}; {hint}"
        )
    return columns


def _path(table: Table, path: str) -> str:
    """The path as it is here: a manifest of Windows has backslashes."""
    if "\\" in path and not (table.path.parent / path).exists():
        return path.replace("\\", "/")
    return path


def _choice(where: str, column: str, values: dict[str, str], allowed: tuple[str, ...]) -> str:
    value = values[column].lower()
    if value and value not in allowed:
        raise IngestError(f"{where}: {column} {value!r} is none of {', '.join(allowed)}")
    return value
