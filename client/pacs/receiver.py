"""Films that are sent here: a Storage and Verification SCP (PS3.4, A and B)."""

import logging
import ssl
from typing import Any, Final
from weakref import WeakKeyDictionary

from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
    RLELossless,
)
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.sop_class import Verification

from client.pacs.destination import poll_less
from client.pacs.intake import FILM_CLASSES, FilmIntake
from client.pacs.metrics import REFUSED

# Without the deflated one: a few of its bytes may stand for gigabytes.
SYNTAXES: Final = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    *JPEGLSTransferSyntaxes,
    *JPEG2000TransferSyntaxes,
    RLELossless,
]
PROCESSING_FAILURE: Final = 0x0110
_PDU_BYTES: Final = 2**18
_SILENCE: Final = 30.0  # seconds until a caller that says nothing is hung up on
_HANDSHAKE: Final = 10.0
_ASSOCIATIONS: Final = 16
_LOGGER: Final = logging.getLogger(__name__)


class Receiver:
    """Listens from `start` until `stop`.

    Args:
        intake: takes the films.
        title: the called AE title that it answers to.
        callers: the calling AE titles that it knows.
        tls: encrypts; None: plain DICOM.
    """

    def __init__(
        self, intake: FilmIntake, title: str, callers: list[str], tls: ssl.SSLContext | None = None
    ):
        self._intake = intake
        self._tls = tls
        self._sizes: WeakKeyDictionary[Association, int] = WeakKeyDictionary()
        self._ae = AE(title)
        self._ae.require_called_aet = True
        self._ae.require_calling_aet = callers
        self._ae.maximum_pdu_size = _PDU_BYTES
        self._ae.maximum_associations = _ASSOCIATIONS
        self._ae.acse_timeout = self._ae.dimse_timeout = self._ae.network_timeout = _SILENCE
        self._ae.add_supported_context(Verification)
        for sop_class in FILM_CLASSES:
            self._ae.add_supported_context(sop_class, SYNTAXES)

    def start(self, host: str, port: int) -> None:
        """Listens in threads of its own.

        Args:
            host: the address to listen on.
            port: the TCP port.

        Raises:
            OSError: the port cannot be had.
        """
        self._ae.start_server(
            (host, port),
            block=False,
            ssl_context=self._tls,
            evt_handlers=[
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_PDU_RECV, self._count),
                (evt.EVT_ACCEPTED, lambda event: poll_less(event.assoc)),
                (evt.EVT_REJECTED, _rejected),
            ],
        )

    def stop(self) -> None:
        """Hangs up; a film that was not acknowledged will be sent again."""
        self._ae.shutdown()

    def _store(self, event: evt.Event) -> int:
        self._sizes[event.assoc] = 0
        request = event.request
        try:
            return self._intake.take(
                event.encoded_dataset(),
                str(request.AffectedSOPClassUID),
                str(request.AffectedSOPInstanceUID),
            )
        except Exception:
            _LOGGER.exception("a film was not taken")
            return PROCESSING_FAILURE

    def _count(self, event: evt.Event) -> None:
        """Hangs up on a data set that goes on for ever: pynetdicom would keep all of it."""
        if not isinstance(event.pdu, P_DATA_TF):
            return
        size = self._sizes.get(event.assoc, 0) + event.pdu.pdu_length
        self._sizes[event.assoc] = size
        if size > self._intake.max_bytes + _PDU_BYTES:
            REFUSED.labels("too_large").inc()
            _LOGGER.warning("hung up", extra={"reason": "too_large"})
            event.assoc.abort()


def server_context(certificate: str, key: str, ca: str | None) -> ssl.SSLContext:
    """Makes the receiver's TLS settings.

    Args:
        certificate: path of its PEM file.
        key: path of its key's PEM file.
        ca: path of a PEM file; only callers whose certificate it signed are let in. None: all are.

    Returns:
        TLS 1.2 or newer.

    Raises:
        OSError: a file cannot be read or used.
    """
    context = _LazyContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if ca:
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class _LazyContext(ssl.SSLContext):
    """Shakes hands in the caller's own thread: pynetdicom would in the one that accepts callers."""

    def wrap_socket(
        self, sock: Any, server_side: bool = False, *_: Any, **__: Any
    ) -> ssl.SSLSocket:
        sock.settimeout(_HANDSHAKE)
        return super().wrap_socket(sock, server_side, do_handshake_on_connect=False)


def _rejected(event: evt.Event) -> None:
    REFUSED.labels("caller").inc()
    _LOGGER.warning("refused", extra={"reason": "caller", "address": event.assoc.requestor.address})
