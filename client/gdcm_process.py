"""GDCM in a process of its own: a damaged file can make it abort the interpreter.

It alone decodes lossless JPEG, 12-bit JPEG and JPEG-LS here; other syntaxes have safer decoders.
"""

import io
import subprocess
import sys

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import pixel_array

_TIMEOUT_SECONDS = 60


def decode(data: bytes) -> NDArray:
    """The stored values of a DICOM file's one frame, uint8 to int16[rows, columns].

    Raises ValueError for whatever GDCM refuses, crashes on or takes longer than a minute for.
    """
    command = [sys.executable, "-P", __file__]
    try:
        done = subprocess.run(
            command,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_SECONDS,
            check=True,
        )
    except subprocess.SubprocessError as error:
        raise ValueError("GDCM cannot decode it") from error
    return np.load(io.BytesIO(done.stdout), allow_pickle=False)


def _main() -> None:
    dataset = pydicom.dcmread(io.BytesIO(sys.stdin.buffer.read()))
    np.save(sys.stdout.buffer, pixel_array(dataset, decoding_plugin="gdcm"), allow_pickle=False)


if __name__ == "__main__":
    _main()
