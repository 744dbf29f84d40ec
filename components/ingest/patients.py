"""Whose X-ray a file is, and what its name says of the disease."""

import hashlib
import re
from pathlib import PurePosixPath

from components.ingest.listing import IngestError

# person100_bacteria_475.jpeg; numbers are per type. IM-0115-0001.jpeg, NORMAL2-IM-0373-0001.jpeg.
# As its third version names them: BACTERIA-1008087-0001.jpeg, NORMAL-1003233-0002.jpeg.
_PUBLIC_SET = re.compile(
    r"(person\d+_(?:bacteria|virus))_\d+|((?:NORMAL2-)?IM-\d+)-\d+|"
    r"((?:BACTERIA|VIRUS|NORMAL)-\d+)-\d+",
    re.IGNORECASE,
)


def compile_pattern(pattern: str | None) -> re.Pattern[str]:
    """The configured pattern, or the public set's; its first group that matches is the patient.

    Raises IngestError where it is no regular expression with a group.
    """
    if pattern is None:
        return _PUBLIC_SET
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise IngestError(f"data.patient_pattern: not a regular expression ({error})") from error
    if not compiled.groups:
        raise IngestError("data.patient_pattern: put the patient's part in (parentheses)")
    return compiled


def from_name(path: str, pattern: re.Pattern[str]) -> str | None:
    """The patient by the file's name, or None where the pattern is not at its start."""
    match = pattern.match(PurePosixPath(path).name)
    return next((group for group in match.groups() if group), None) if match else None


def group(patient: str, seed: int) -> str:
    """Twenty hexadecimal digits that stand for a patient and put patients in an order by seed."""
    return hashlib.blake2b(
        patient.encode("utf-8", "replace"), digest_size=10, salt=_salt(seed)
    ).hexdigest()


def pseudonym(patient: str, salt: bytes) -> str:
    """A patient's id as it may be written: without the salt nobody finds the id again."""
    digest = hashlib.blake2b(patient.encode("utf-8", "replace"), digest_size=10, key=salt)
    return f"patient-{digest.hexdigest()}"


def etiology(path: str, label: int | None) -> str:
    """`normal` for label 0; else bacteria, virus or unknown by the file's name."""
    if label == 0:
        return "normal"
    name = PurePosixPath(path).name.lower()
    return next((kind for kind in ("bacteria", "virus") if kind in name), "unknown")


def _salt(seed: int) -> bytes:
    return hashlib.sha256(str(seed).encode()).digest()[:16]
