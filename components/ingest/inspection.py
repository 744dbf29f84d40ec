"""What reading one file tells: its hash, its patient, or why it is rejected."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from client import dicom, images
from components import names
from components.ingest import groups, near_duplicates, patients
from components.ingest.entry import Entry
from components.ingest.settings import DataConfig

_TELLING = 4  # characters of a manifest's patient id
_SMALL, _LARGE = 800, 1200  # about a third each of the public training set


@dataclasses.dataclass(frozen=True, slots=True)
class IngestRecord:
    """One file's facts; no pixels, no bytes, and nothing of a DICOM's patient but hashes.

    path: where it is read again. name: as it is written (Inspector.name). group: stands for the
    patient (patients.group). patient_id: as it is written. patient_from: manifest, dicom,
    name, or file where each file is its own patient. sha256: of the bytes to be stored. reason
    and detail: why it is rejected, else empty. notes: what is odd about a film that is not. groups:
    its value for each of names.GROUP_KEYS.
    """

    path: str
    name: str
    label: int | None
    official_test: bool
    group: str = ""
    patient_id: str = ""
    patient_from: str = ""
    etiology: str = ""
    source: str = ""
    source_format: str = ""
    sha256: str = ""
    difference_hash: str = ""
    width: int = 0
    height: int = 0
    reason: str = ""
    detail: str = ""
    notes: Sequence[str] = ()
    groups: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Inspector:
    """Reads files one by one; `salt` hides patients' ids and is kept nowhere."""

    folder: Path
    config: DataConfig
    seed: int
    salt: bytes = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        """Raises IngestError where the configured pattern is unusable, before Beam starts."""
        patients.compile_pattern(self.config.patient_pattern)

    def __call__(self, entry: Entry) -> IngestRecord:
        """Reads, checks and hashes one file; whatever is wrong with it stands in the record."""
        if entry.problem:
            return self._rejected(entry, images.Reason.UNREADABLE, entry.problem)
        try:
            xray = images.read(
                self.folder / entry.path,
                max_bytes=self.config.max_bytes,
                max_pixels=self.config.max_pixels,
            )
        except images.ImageError as error:
            return self._rejected(entry, error.reason, str(error), error.identity)
        return self._sound(entry, xray)

    def _sound(self, entry: Entry, xray: images.XRay) -> IngestRecord:
        patient, patient_from = self._patient(entry, xray)
        is_private = (
            not self.config.file_names
            or patient_from in ("manifest", "dicom")
            or xray.source_format == "dicom"
        )
        return IngestRecord(
            path=entry.path,
            name=self._name(entry, xray.identity),
            label=entry.label,
            official_test=entry.official_test,
            group=patients.group(patient, self.seed),
            patient_id=patients.pseudonym(patient, self.salt) if is_private else patient,
            patient_from=patient_from,
            etiology=entry.etiology or patients.etiology(entry.path, entry.label),
            source=entry.source or xray.source_format,
            source_format=xray.source_format,
            sha256=xray.sha256,
            difference_hash=near_duplicates.difference_hash(xray.data),
            width=xray.width,
            height=xray.height,
            notes=xray.notes,
            groups=groups.read(entry.told, self._header(entry, xray), self.config.groups),
        )

    def _header(self, entry: Entry, xray: images.XRay) -> Mapping[str, Any]:
        """The values of the DICOM keywords that groups are read from."""
        keywords = [where.dicom for where in self.config.groups.values() if where.dicom]
        if xray.source_format != "dicom" or not keywords:
            return {}
        caps = {"max_bytes": self.config.max_bytes, "max_pixels": self.config.max_pixels}
        content = images.file_content(self.folder / entry.path, self.config.max_bytes)
        dataset = dicom.checked(content, **caps)
        return {keyword: dataset.get(keyword) for keyword in keywords}

    def _patient(self, entry: Entry, xray: images.XRay) -> tuple[str, str]:
        pattern = patients.compile_pattern(self.config.patient_pattern)
        if entry.patient:
            return entry.patient, "manifest"
        if xray.patient_id:
            return xray.patient_id, "dicom"
        if patient := patients.from_name(entry.path, pattern):
            return patient, "name"
        return f"file-{xray.sha256[:20]}", "file"

    def _rejected(
        self, entry: Entry, reason: str, detail: str, identity: tuple[str, ...] = ()
    ) -> IngestRecord:
        name = self._name(entry, identity)
        return IngestRecord(
            entry.path, name, entry.label, entry.official_test, reason=str(reason), detail=detail
        )

    def _name(self, entry: Entry, identity: tuple[str, ...]) -> str:
        """What stands for the path in all that is written; file names often carry patients' names.

        A stand-in of class and hash. Where `data.file_names` says that names tell nobody: the path,
        without what the file's header or the manifest says of the patient.
        """
        if not self.config.file_names:
            folder = "unlabelled" if entry.label is None else names.CLASSES[entry.label]
            return f"{folder}/{patients.pseudonym(entry.path, self.salt, 'film')}"
        path = entry.path
        # A manifest may count its patients from 1: such an id tells nobody, and is in every name.
        told = (entry.patient,) if entry.patient and len(entry.patient) >= _TELLING else ()
        for word in (*identity, *told):
            stand_in = patients.pseudonym(word, self.salt)
            path = re.sub(re.escape(word), stand_in, path, flags=re.IGNORECASE)
        return path


def size_class(width: int, height: int) -> str:
    """Names a film's size: a shorter side under 800, under 1200, or of 1200 pixels and more.

    Args:
        width: in pixels.
        height: in pixels.

    Returns:
        `small`, `medium` or `large`.
    """
    shorter = min(width, height)
    if shorter < _SMALL:
        return "small"
    return "medium" if shorter < _LARGE else "large"
