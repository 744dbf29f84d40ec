"""What a retraining goes on from: a version's model, and the films that it was made of."""

from dataclasses import dataclass

from components.ingest.spans import FILMS
from components.pusher import versions
from pipeline.runs import lineage
from pipeline.runs.folder import RunFolder, RunFolderError


@dataclass(frozen=True)
class Since:
    """An earlier model: URI of its artifact, and path of its ingest's films.csv."""

    model: str
    films: str


def find(folder: RunFolder, version: int) -> Since:
    """Finds what a version was made of.

    Args:
        folder: the run's, which serves the version.
        version: its number.

    Raises:
        RunFolderError: there is no such version, or the folder does not know where it came from.
    """
    there = versions.versions(folder.serving)
    if version not in there:
        known = ", ".join(map(str, there)) or "none"
        raise RunFolderError(f"{folder.serving}: no version {version}; there are: {known}")
    record = versions.record(folder.serving, version)
    run = lineage.run_of(folder.metadata, record.model.uri) if record else None
    # A recalibrated version's run knows the films of its hospital, not those of the training.
    if record and run and "Trainer" in run.steps:
        films = run.steps["XrayExampleGen"].outputs["ingest_report"].uri / FILMS
        if films.is_file():
            return Since(record.model.uri, str(films))
    raise RunFolderError(
        f"{folder.root}: does not know the films that version {version} was trained on; name one "
        "that a run there has trained, or train once without --since"
    )
