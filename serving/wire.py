"""A look at a serialized message before it is parsed, which costs many times its bytes."""

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from serving.errors import invalid_argument
from serving.tensors import MAX_ELEMENTS

MAX_FIELDS = 2**16  # each becomes an object; a request of 1,024 X-rays has some 1,030
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZE = {_FIXED64: 8, _FIXED32: 4}
_MESSAGE = FieldDescriptor.CPPTYPE_MESSAGE
# Parsed, these take no more room than their bytes; a packed integer of one byte takes up to eight.
_PLAIN = (
    FieldDescriptor.CPPTYPE_STRING,
    FieldDescriptor.CPPTYPE_FLOAT,
    FieldDescriptor.CPPTYPE_DOUBLE,
)


def check(data: bytes, descriptor: Descriptor, fields: int = 0, limit: int = MAX_FIELDS) -> int:
    """Looks for what is made to fill the memory.

    Args:
        data: the serialized message; what is no message at all is left to the parser.
        descriptor: its type.
        fields: those of the request's messages before this one, which count too.
        limit: fields that there may be.

    Returns:
        The fields up to and with this message's.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    packed = 0
    pending = [(0, len(data), descriptor)]
    while pending:
        position, end, message = pending.pop()
        known: Any = message.fields_by_number
        while position < end:
            if (fields := fields + 1) > limit:
                raise invalid_argument(f"The request has more than {limit} fields")
            tag, position = _varint(data, position)
            kind = tag & 7
            if kind == _VARINT:
                _, position = _varint(data, position)
            elif kind == _BYTES:
                length, position = _varint(data, position)
                field = known.get(tag >> 3)
                if field is not None and field.cpp_type == _MESSAGE:
                    pending.append((position, min(position + length, end), field.message_type))
                elif field is not None and field.cpp_type not in _PLAIN:
                    packed += length  # a list may come in pieces
                    if packed > MAX_ELEMENTS:
                        raise invalid_argument(f"{field.name} has more than {MAX_ELEMENTS} bytes")
                position += length
            else:
                position += _FIXED_SIZE.get(kind, 0)  # 0: where a group starts or ends
    return fields


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at a position, and where it ends; 0 at the end of the data."""
    value = shift = 0
    for byte in data[position : position + 10]:
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position
    return 0, len(data) if shift < 70 else position
