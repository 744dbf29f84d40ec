"""How much the page takes in at a time, before its application sees any of it.

waitress receives a whole request before a thread looks at it, so that slow senders hold no thread.
What it holds meanwhile is bounded here.
"""

import ctypes
import json
import threading
import time
from typing import Any, Final

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.utilities import Error

from client.web import answers

_REQUEST_SECONDS: Final = 300.0  # from a request's first byte to its last
_HURRIED_SECONDS: Final = 5.0  # where others are turned away for it
_OF_ADDRESS: Final = 96  # connections; of the 128 that the page takes
_LARGE: Final = 2**20
_MMAP_THRESHOLD: Final = -3  # malloc.h
_LIBC: Final = ctypes.CDLL(None)


class Refusal(Error):  # noqa: N818 - it is an answer, and is not raised
    """waitress's answer to a request that the application never sees, in the API's own form."""

    def __init__(self, code: int, reason: str, name: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.name = code, reason, name

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Status, headers and body."""
        headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
        if self.code == 503:
            headers.append(("Retry-After", "1"))
        body = json.dumps(answers.refusal(self.name, self.body)).encode()
        return f"{self.code} {self.reason}", headers, body


def full() -> Refusal:
    """The page holds as many bytes as it may."""
    message = "the page has more X-rays than it takes"
    return Refusal(503, "Service Unavailable", "page_busy", message)


def too_large(most: int) -> Refusal:
    """One upload is over the cap."""
    message = f"the file has more than {most // 2**20} MB, which is the most the page takes"
    return Refusal(413, "Content Too Large", "request_entity_too_large", message)


def too_slow() -> Refusal:
    """The sender takes too long."""
    return Refusal(408, "Request Timeout", "request_timeout", "the file came too slowly")


class Uploads:
    """The bytes of all uploads that are being received or worked on; safe between threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._arriving: dict[Any, None] = {}  # parsers, the oldest first
        self._lock = threading.RLock()

    def add(self, parser: "BoundedParser", size: int) -> bool:
        """Accounts for bytes that came.

        Who has been sending for long makes room for others, and may try again as they may.

        Args:
            parser: what receives them.
            size: how many bytes.

        Returns:
            False where they are too many.
        """
        with self._lock:
            self._arriving[parser] = None
            if self._held + size > self._most:
                for slow in list(self._arriving):
                    if slow.age() > _HURRIED_SECONDS and slow is not parser:
                        slow.refuse(full())
                        break
            if self._held + size > self._most:
                return False
            self._held += size
            return True

    def arrived(self, parser: "BoundedParser") -> None:
        """The request is complete: it is not cut off any more."""
        with self._lock:
            self._arriving.pop(parser, None)

    def remove(self, size: int) -> None:
        """The bytes are gone."""
        with self._lock:
            self._held -= size


class BoundedParser(HTTPRequestParser):
    """Receives a request; what is refused is received to its end, so that the answer is read."""

    uploads: Uploads
    upload_bytes: int
    completed: bool  # waitress's own
    error: Any  # waitress's own

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self._start = time.monotonic()
        self._size = 0
        self._refusal: Refusal | None = None

    def age(self) -> float:
        """Seconds since the request's first byte."""
        return time.monotonic() - self._start

    def received(self, data: bytes) -> int:
        """Takes what came; returns how many bytes of it belong to this request."""
        consumed = super().received(data)
        size = len(self.body_rcv) if self.body_rcv else 0
        if self._refusal is None:
            if max(self.content_length, size) > self.upload_bytes:
                self.refuse(too_large(self.upload_bytes))
            elif size > self._size and not self.uploads.add(self, size - self._size):
                self.refuse(full())
            else:
                self._size = size
        if self.age() > _REQUEST_SECONDS and not self.completed:
            self.refuse(too_slow())
            self.completed = True
        if self.completed:
            self.uploads.arrived(self)
            if self._refusal and (self.error is None or self.error.code == 413):
                self.error = self._refusal
        return consumed

    def refuse(self, refusal: Refusal) -> None:
        """Forgets the body, as far as it has come and from now on."""
        self._refusal = refusal
        if self.body_rcv is not None:
            self.body_rcv.buf.close()
            self.body_rcv.buf = _Nothing()
        self._release()

    def close(self) -> None:
        """The request is answered."""
        super().close()
        self._release()

    def _release(self) -> None:
        self.uploads.arrived(self)
        size, self._size = self._size, 0
        if size:
            self.uploads.remove(size)


class BoundedChannel(HTTPChannel):
    """A connection; further ones from an address that has its share are closed at once."""

    proxy: str | None

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:
        super().__init__(server, sock, addr, adj, map=map)
        of_address = sum(one.addr[0] == addr[0] for one in server.active_channels.values())
        if of_address > _OF_ADDRESS and addr[0] != self.proxy:
            self.will_close = True

    def handle_close(self) -> None:
        """Gives up what has come of a request that will never be whole."""
        if self.request is not None:
            self.request.close()
        super().handle_close()


class _Nothing:
    """A buffer that keeps nothing."""

    def append(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass

    def __len__(self) -> int:
        return 0


def channel(upload_bytes: int, all_bytes: int, proxy: str | None) -> type[BoundedChannel]:
    """Makes the kind of connection for a page.

    Args:
        upload_bytes: the cap on one upload.
        all_bytes: the cap on all that are held at once.
        proxy: the trusted proxy's address, which may have more connections than others; or None.

    Returns:
        A subclass of BoundedChannel, whose parsers share these bounds.
    """
    bounds = {"uploads": Uploads(all_bytes), "upload_bytes": upload_bytes}
    parser = type("Parser", (BoundedParser,), bounds)
    return type("Channel", (BoundedChannel,), {"parser_class": parser, "proxy": proxy})


def give_back_what_is_freed() -> None:
    """Has glibc return an upload's memory to the system as soon as it is freed; see mallopt(3).

    Left alone it learns to take large blocks from its threads' heaps, and keeps up to 64 MB free at
    the end of each, which malloc_trim does not reach.
    """
    if hasattr(_LIBC, "mallopt"):
        _LIBC.mallopt(_MMAP_THRESHOLD, _LARGE)
