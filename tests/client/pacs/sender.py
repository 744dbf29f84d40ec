"""A sender that says whatever it is told to, sound or not."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pydicom
from pydicom.filewriter import write_dataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE


@contextmanager
def association(
    port: int,
    sop_class: str = ComputedRadiographyImageStorage,
    syntax: str = ExplicitVRLittleEndian,
    caller: str = "STORESCU",
    called: str = "PNEUMONIA",
    tls=None,
) -> Iterator[Association]:
    ae = AE(caller)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 120
    ae.add_requested_context(sop_class, syntax)
    tls_args = (tls, "localhost") if tls else None
    found = ae.associate("127.0.0.1", port, ae_title=called, tls_args=tls_args)
    try:
        yield found
    finally:
        if found.is_established:
            found.release()


def store(association: Association, body: bytes, instance: str) -> int | None:
    """The status of a C-STORE whose data set is `body`; None where the other side hung up."""
    (context,) = association.accepted_contexts
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = context.abstract_syntax
    request._affected_sop_instance_uid = pydicom.uid.UID(instance)  # the setter would check it
    request.DataSet = io.BytesIO(body)
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        time.sleep(0.01)
    association.dimse.send_msg(request, context.context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return None if answer is None else answer.Status


def body(content: bytes) -> bytes:
    """What of a DICOM file a C-STORE carries."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    file = pydicom.filebase.DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, False
    write_dataset(file, dataset)
    return file.getvalue()
