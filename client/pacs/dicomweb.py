"""A PACS over DICOMweb (PS3.18): films out by QIDO-RS and WADO-RS, answers in by STOW-RS."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import pydicom
import requests
from dicomweb_client.web import DICOMwebClient

from client.dicom import MODALITIES
from client.pacs.destination import AwayError, RejectedError, judge

_TIMEOUT: Final = 30.0  # seconds
_CONFLICT: Final = 409
_PROCESSING_FAILURE: Final = 0x0110
_BUSY: Final = (408, 429, 500, 502, 503, 504, 507)
_INSTANCE: Final = "00080018"
_SOP_CLASS: Final = "00080016"
_SERIES: Final = "0020000E"
_STUDY: Final = "0020000D"
_COUNT: Final = "00201209"  # Number of Series Related Instances


class DicomWeb:
    """A DICOMweb server; name and password are the netrc file's.

    Args:
        url: the server's.
        ca: an authority to trust, PEM; None: the system's.
    """

    def __init__(self, url: str, ca: Path | None = None):
        session = requests.Session()
        session.hooks["response"].append(_with_bare_media_type)
        if ca:
            session.verify = str(ca)
        self._client = DICOMwebClient(url, session=session, timeout=_TIMEOUT)
        self._client.set_http_retry_params(retry=False)  # the gateway waits in its own way

    def store(self, objects: Sequence[bytes]) -> None:
        """As in `client.pacs.destination.Destination`."""
        datasets = [pydicom.dcmread(io.BytesIO(content)) for content in objects]
        with _plain_errors():
            try:
                failed = self._client.store_instances(datasets).get("FailedSOPSequence")
            except requests.HTTPError as error:
                failed = _refused(error.response)
                if not failed:
                    raise
            reasons = [one.get("FailureReason", _PROCESSING_FAILURE) for one in failed or ()]
        for reason in reasons:
            judge(reason)

    def check(self) -> None:
        """As in `client.pacs.destination.Destination`."""
        with _plain_errors():
            self._client.search_for_studies(limit=1)

    def rest(self) -> None:
        """As in `client.pacs.destination.Destination`."""

    def series(self, days: int) -> list[tuple[str, str, int | None]]:
        """Study and series UID, and number of instances, of radiographs no older than `days`.

        Raises AwayError, RejectedError.
        """
        since = f"{date.today() - timedelta(days):%Y%m%d}-"
        found: list[dict] = []
        for modality in MODALITIES:
            with _plain_errors():
                rows = self._client.search_for_series(
                    search_filters={"Modality": modality, "StudyDate": since},
                    fields=[_COUNT],
                    get_remaining=True,
                )
            found += rows
        return [(_value(r, _STUDY), _value(r, _SERIES), _value(r, _COUNT)) for r in found]

    def instances(self, study: str, series: str) -> list[tuple[str, str]]:
        """Lists a series' instances.

        Args:
            study: the study's UID.
            series: the series' UID.

        Returns:
            SOP class and instance UID of each.

        Raises:
            AwayError, RejectedError: as of `series`.
        """
        with _plain_errors():
            rows = self._client.search_for_instances(study, series, get_remaining=True)
        return [(_value(row, _SOP_CLASS), _value(row, _INSTANCE)) for row in rows]

    def fetch(self, study: str, series: str, instance: str) -> bytes:
        """Fetches an instance as it was stored.

        Args:
            study: the study's UID.
            series: the series' UID.
            instance: the SOP Instance UID.

        Returns:
            The DICOM file.

        Raises:
            AwayError, RejectedError: as of `series`.
        """
        anything = (("application/dicom", "*"),)
        with _plain_errors():
            dataset = self._client.retrieve_instance(study, series, instance, media_types=anything)
            file = io.BytesIO()
            dataset.save_as(file, enforce_file_format=True)
        return file.getvalue()


def _with_bare_media_type(response: requests.Response, **_: Any) -> None:
    """dicomweb-client does not know an answer whose media type names a charset, too."""
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
    if media_type.endswith(("json", "xml")):
        response.headers["Content-Type"] = media_type


def _refused(response: requests.Response | None) -> Any:
    """What was not stored, of an answer that nothing was, if only as all is there already."""
    if response is None or response.status_code != _CONFLICT:
        return None
    return pydicom.Dataset.from_json(response.json()).get("FailedSOPSequence")


def _value(row: dict, tag: str) -> Any:
    values = row.get(tag, {}).get("Value") or [None]
    return values[0]


@contextmanager
def _plain_errors() -> Iterator[None]:
    """What goes wrong with a PACS, in words that quote neither an address nor an answer."""
    try:
        yield
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        kind = AwayError if status in _BUSY else RejectedError
        raise kind(f"HTTP {status}") from None
    except requests.RequestException as error:
        kind = RejectedError if isinstance(error, requests.JSONDecodeError) else AwayError
        raise kind(type(error).__name__) from None
    except Exception as error:  # libraries raise anything for an odd UID or a damaged film
        raise RejectedError(type(error).__name__) from None
