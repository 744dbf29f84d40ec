"""12-bit JPEG Extended: GDCM decodes it, but pydicom's plugin for GDCM refuses to ask."""

import gdcm
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset


def decode(content: bytes, dataset: Dataset) -> NDArray:
    """The stored values of one compressed frame.

    Args:
        content: the frame's codestream.
        dataset: says its size, bits and sign.

    Returns:
        uint16 or int16[rows, columns].
    """
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(content)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((dataset.Columns, dataset.Rows, 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType(str(dataset.PhotometricInterpretation))
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    syntax = gdcm.TransferSyntax.GetTSType(str(dataset.file_meta.TransferSyntaxUID))
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    bits = dataset.BitsStored
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, bits, bits - 1, dataset.PixelRepresentation))
    # GDCM hands bytes over as text.
    buffer = image.GetBuffer().encode("utf-8", "surrogateescape")
    values = np.frombuffer(buffer, "<i2" if dataset.PixelRepresentation else "<u2")
    return values.reshape(dataset.Rows, dataset.Columns) << (16 - bits) >> (16 - bits)
