"""Reads a request log, whoever wrote it and however that ended."""

from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import DecodeError

from client.request_log import tfrecord
from client.request_log.record import Film, films
from client.request_log.writer import SUFFIX, RequestLogError
from client.tensors import TensorError


def read(folder: Path) -> Iterator[Film]:
    """The films of every log in a folder, by file, oldest first; a file's end may be torn.

    Raises:
        RequestLogError: there is no log, or a record is none of ours.
    """
    paths = sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
    if not paths:
        raise RequestLogError(
            f"{folder}: holds no request log (*{SUFFIX}); start the server or the client with one"
        )
    for path in paths:
        for serialized in tfrecord.read(path):
            try:
                yield from films(serialized)
            except (DecodeError, TensorError, KeyError, UnicodeDecodeError) as error:
                raise RequestLogError(
                    f"{path}: holds a record that is no request log's ({type(error).__name__}); "
                    "move the file elsewhere"
                ) from error
