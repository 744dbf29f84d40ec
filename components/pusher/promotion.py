"""Rolls the served model back or forward, atomically.

TensorFlow Serving serves the highest version number unless a models.config pins another, and it
watches the folder, not the config. So a promotion publishes the chosen version's files once more
under the highest number: every server with its defaults follows, ours and TensorFlow's, and none
is restarted. What is published is a copy of files that are as they were pushed: those of the
version itself, of another one of the same model, or of the model's artifact.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from components.pusher import versions

_SAVED_MODEL: Final = "Format-Serving"  # TFX's, in a Model artifact


class UnknownVersionError(LookupError):
    """There is no such version; the message lists what there is."""


def promote(serving_dir: Path, version: int) -> int:
    """Makes a version the served one.

    Args:
        serving_dir: TensorFlow Serving's model_base_path.
        version: one that is there.

    Returns:
        The number it is served under from now on. That is the served one's where it is this model
        already, and whole; a damaged one is mended by a new version.

    Raises:
        UnknownVersionError: there is no such version.
        versions.PublishError: the folder cannot be written, or no whole copy of the model is left;
            what is served then stays.
    """
    there = versions.versions(serving_dir)
    if version not in there:
        listed = ", ".join(map(str, there)) or "none yet"
        raise UnknownVersionError(f"no version {version} in {serving_dir}; there is: {listed}")
    known = versions.record(serving_dir, version)
    same = versions.holders(serving_dir, known.model.sha256) if known else [version]
    damage = versions.damage(serving_dir, there[-1])
    if there[-1] in (version, *same) and not damage:
        return there[-1]
    source = next(_whole(serving_dir, version, same, known), None)
    if source is None:
        raise versions.PublishError(
            f"{versions.damage(serving_dir, version)}, and no whole copy of that model is left: "
            "promote another version, or run the pipeline again"
        )
    of = known or versions.PublishedRecord(
        model=versions.PublishedModel(uri=str(source), sha256=versions.digest(source)),
        baseline=None,
    )
    return versions.publish(serving_dir, source, replace(of, promoted_from=version))


def repair(serving_dir: Path) -> int | None:
    """Publishes the served model again if its files are damaged; returns the new version.

    None where there is nothing to mend. Raises versions.PublishError where that fails.
    """
    there = versions.versions(serving_dir)
    if not there or not versions.damage(serving_dir, there[-1]):
        return None
    return promote(serving_dir, there[-1])


def _whole(
    serving_dir: Path, version: int, same: list[int], known: versions.PublishedRecord | None
) -> Iterator[Path]:
    """Where the version's model lies as it was pushed, the version itself first."""
    for number in dict.fromkeys((version, *reversed(same))):
        if not versions.damage(serving_dir, number):
            yield serving_dir / str(number)
    if known:
        artifact = Path(known.model.uri, _SAVED_MODEL)
        if artifact.is_dir() and versions.digest(artifact) == known.model.sha256:
            yield artifact
