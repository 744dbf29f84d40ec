"""Where answers go: a PACS, by C-STORE (PS3.4, B); see also `client.pacs.dicomweb`."""

import io
import ssl
from collections.abc import Sequence
from typing import Final, Protocol

import pydicom
from pydicom import Dataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    JPEGBaseline8Bit,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification

ANSWERS: Final = (
    (ComprehensiveSRStorage, ExplicitVRLittleEndian),
    (GrayscaleSoftcopyPresentationStateStorage, ExplicitVRLittleEndian),
    (SecondaryCaptureImageStorage, JPEGBaseline8Bit),
    (SecondaryCaptureImageStorage, ExplicitVRLittleEndian),  # for a PACS that takes no JPEG
)
_TIMEOUT: Final = 30.0  # seconds
_DUPLICATE: Final = 0x0111
_WARNING: Final = 0xB000
_OUT_OF_RESOURCES: Final = 0xA700


class AwayError(Exception):
    """The PACS takes nothing now; the message is a few fixed words."""


class RejectedError(Exception):
    """The PACS does not want these objects; the message is its status."""


class Destination(Protocol):
    """A PACS that takes DICOM files."""

    def store(self, objects: Sequence[bytes]) -> None:
        """Stores each; those that it has already are no error.

        Raises AwayError, RejectedError.
        """

    def check(self) -> None:
        """Raises AwayError where it does not answer."""

    def rest(self) -> None:
        """Hangs up; nothing is to be stored for a while."""


class Dimse:
    """A Storage SCP at `title`@`host`:`port`; one association for as long as there is work."""

    def __init__(
        self, own_title: str, title: str, host: str, port: int, tls: ssl.SSLContext | None = None
    ):
        self._title = title
        self._address = (host, port)
        self._tls = tls
        self._ae = AE(own_title)
        self._ae.maximum_pdu_size = 2**18
        self._ae.connection_timeout = self._ae.acse_timeout = self._ae.dimse_timeout = _TIMEOUT
        self._assoc: Association | None = None

    def store(self, objects: Sequence[bytes]) -> None:
        """As in `Destination`."""
        association = self._associated()
        for content in objects:
            dataset = pydicom.dcmread(io.BytesIO(content))
            if dataset.file_meta.TransferSyntaxUID.is_compressed and not _accepts(
                association, dataset
            ):
                dataset.decompress(generate_instance_uid=False)  # the UID names these very pixels
            try:
                answer = association.send_c_store(dataset)
            except ValueError:  # the PACS did not accept this SOP class
                raise RejectedError("SOP class not accepted") from None
            except RuntimeError:
                raise AwayError("association lost") from None
            if "Status" not in answer:
                self.rest()
                raise AwayError("association lost")
            judge(answer.Status)

    def check(self) -> None:
        """As in `Destination`; a C-ECHO."""
        association = self._open([(Verification, ExplicitVRLittleEndian)])
        try:
            if association.send_c_echo().get("Status") != 0:
                raise AwayError("no echo")
        except RuntimeError:
            raise AwayError("association lost") from None
        finally:
            association.release()

    def rest(self) -> None:
        """As in `Destination`."""
        if self._assoc and self._assoc.is_established:
            self._assoc.release()
        self._assoc = None

    def _associated(self) -> Association:
        if not (self._assoc and self._assoc.is_established):
            self._assoc = self._open(ANSWERS)
        return self._assoc

    def _open(self, wanted: Sequence[tuple[str, str]]) -> Association:
        contexts = [build_context(sop_class, syntax) for sop_class, syntax in wanted]
        tls = (self._tls, self._address[0]) if self._tls else None
        association = self._ae.associate(
            *self._address, contexts, ae_title=self._title, max_pdu=0, tls_args=tls
        )
        poll_less(association)
        if not association.is_established:
            raise AwayError("rejected" if association.is_rejected else "no association")
        return association


def _accepts(association: Association, dataset: Dataset) -> bool:
    wanted = dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID
    return any(
        wanted == (context.abstract_syntax, context.transfer_syntax[0])
        for context in association.accepted_contexts
    )


def poll_less(association: Association) -> None:
    """Looks for what came a hundred times a second, not a thousand: that costs the model's time."""
    association.dul._run_loop_delay = 0.01  # pynetdicom has no public name for it


def judge(status: int) -> None:
    """Raises AwayError or RejectedError where a C-STORE's status is no success."""
    if status & 0xFF00 == _OUT_OF_RESOURCES:
        raise AwayError("out of resources")
    if status not in (0, _DUPLICATE) and status & 0xF000 != _WARNING:
        raise RejectedError(f"status 0x{status:04X}")
