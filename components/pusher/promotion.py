"""Rolls the served model back or forward, atomically.

TensorFlow Serving serves the highest version number unless a models.config pins another, and it
watches the folder, not the config. So a promotion publishes the chosen version's files once more
under the highest number: every server with its defaults follows, ours and TensorFlow's, and none
is restarted. The files are hard links and take no space; the record keeps where they came from.
"""

import contextlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

from components.pusher import versions


class UnknownVersionError(LookupError):
    """There is no such version; the message lists what there is."""


def promote(serving_dir: Path, version: int) -> int:
    """Makes a version the served one; returns the number it is served under from now on.

    That is the served one's where it is this model already. Raises UnknownVersionError, and
    versions.PublishError where the folder cannot be written; what is served then stays.
    """
    there = versions.versions(serving_dir)
    if version not in there:
        listed = ", ".join(map(str, there)) or "none yet"
        raise UnknownVersionError(f"no version {version} in {serving_dir}; there is: {listed}")
    if version == there[-1]:
        return version
    source = serving_dir / str(version)
    known = versions.record(serving_dir, version) or versions.Record(
        model=versions.Model(uri=str(source), sha256=versions.digest(source)), baseline=None
    )
    served = versions.record(serving_dir, there[-1])
    if served and served.model.sha256 == known.model.sha256:
        return there[-1]
    return versions.publish(
        serving_dir, source, replace(known, promoted_from=version), copy=_link_or_copy
    )


def _link_or_copy(source: str, target: str) -> None:
    """Not every file system has hard links."""
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    shutil.copy2(source, target)
