"""Reads patient and etiology from a file's name, and hides the patient's id."""

import hashlib
import re
from pathlib import PurePosixPath

from components.ingest.entry import IngestError

# person100_bacteria_475.jpeg; numbers are per type. IM-0115-0001.jpeg, NORMAL2-IM-0373-0001.jpeg.
# As its third version names them: BACTERIA-1008087-0001.jpeg, NORMAL-1003233-0002.jpeg.
_PUBLIC_SET = re.compile(
    r"(person\d+_(?:bacteria|virus))_\d+|((?:NORMAL2-)?IM-\d+)-\d+|"
    r"((?:BACTERIA|VIRUS|NORMAL)-\d+)-\d+",
    re.IGNORECASE,
)


def compile_pattern(pattern: str | None) -> re.Pattern[str]:
    """Compiles the configured pattern, or takes the public set's.

    Args:
        pattern: a regular expression whose first group that matches is the patient; None: the
            public set's.

    Returns:
        The compiled pattern.

    Raises:
        IngestError: it is no regular expression with a group.
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
    r"""Reads the patient from a file's path below the data set's folder.

    Args:
        path: the file's.
        pattern: from `compile_pattern`; must match at the start of the file's name or, where it
            does not, of a folder's above it, the nearest first.

    Returns:
        The patient, or None where the pattern does not match.

    >>> from_name("test/NORMAL/IM-0115-0001.jpeg", compile_pattern(None))
    'IM-0115'
    >>> from_name("train/patient00001/study1/view1_frontal.jpg", compile_pattern(r"(patient\d+)/"))
    'patient00001'
    """
    starts = [0, *(at + 1 for at, letter in enumerate(path) if letter == "/")]
    for start in reversed(starts):
        if match := pattern.match(path[start:]):
            return next((group for group in match.groups() if group), None)
    return None


def group(patient: str, seed: int) -> str:
    """Hashes a patient, so that the hashes put patients in an order that depends on the seed.

    Args:
        patient: the patient's id.
        seed: another one gives another order.

    Returns:
        20 hexadecimal digits.
    """
    return hashlib.blake2b(
        patient.encode("utf-8", "replace"), digest_size=10, salt=_salt(seed)
    ).hexdigest()


def pseudonym(text: str, salt: bytes, kind: str = "patient") -> str:
    """Hides a patient's id or a file's path: without the salt nobody finds it again.

    Args:
        text: what to hide.
        salt: at most 64 bytes, secret.
        kind: what the result begins with.

    Returns:
        The kind, a hyphen and 20 hexadecimal digits.
    """
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=10, key=salt)
    return f"{kind}-{digest.hexdigest()}"


def etiology(path: str, label: int | None) -> str:
    """Reads the etiology from a file's name.

    Args:
        path: the file's; only its name counts.
        label: 0, 1 or None.

    Returns:
        `normal` for label 0, else `bacteria`, `virus` or `unknown`.

    >>> etiology("train/PNEUMONIA/person100_bacteria_475.jpeg", 1)
    'bacteria'
    """
    if label == 0:
        return "normal"
    name = PurePosixPath(path).name.lower()
    return next((kind for kind in ("bacteria", "virus") if kind in name), "unknown")


def _salt(seed: int) -> bytes:
    return hashlib.sha256(str(seed).encode()).digest()[:16]
