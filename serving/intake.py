"""How much callers may send at a time, over gRPC and HTTP together."""

import asyncio
import ctypes
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from weakref import WeakValueDictionary

from serving.errors import Code, ServingError

MAX_MESSAGE_BYTES = 66 * 2**20  # over gRPC: an X-ray file of 64 MiB, and what goes around it
MAX_BODY_BYTES = 88 * 2**20  # over HTTP: the same in base64
MAX_HELD_BYTES = 160 * 2**20  # TensorFlow makes two further copies of what it runs
MAX_WAITING = 1024  # for a place of a lane; HTTP/2 allows 128 to a connection
_LARGE = 2**22  # bytes from which on it is worth handing the memory back
_TRIM_SECONDS = 1.0


class Lane:
    """Places in which messages are received, before anybody knows how long they are.

    A place may come to hold the longest message there can be, so there are few. A connection has
    one of them, a host not all, and who is slow loses it once others wait: so a few slow senders
    never shut the others out.

    Args:
        places: how many.
        of_host: how many of them one host may have.
        patient: seconds that a message may take.
        hurried: seconds that it may take where others wait.
    """

    def __init__(self, *, places: int, of_host: int, patient: float, hurried: float) -> None:
        self._places = asyncio.Semaphore(places)
        self._of_host = of_host
        self._patient, self._hurried = patient, hurried
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._receiving: dict[asyncio.Timeout, float] = {}  # each with the end of its hurried time
        self._waiting = 0

    @asynccontextmanager
    async def place(self, peer: str) -> AsyncIterator[None]:
        """Waits for a place for a message of `peer` (host:port), and holds it.

        Raises ServingError RESOURCE_EXHAUSTED where too many wait, DEADLINE_EXCEEDED where the
        message takes too long to come.
        """
        connection = self._share(peer, 1)
        host = self._share(peer.rpartition(":")[0], self._of_host)
        async with self._turn(connection), self._turn(host), self._turn(self._places):
            try:
                async with self._limit():
                    yield
            except TimeoutError:
                message = "The request was sent too slowly"
                raise ServingError(Code.DEADLINE_EXCEEDED, message) from None

    def _share(self, name: str, places: int) -> asyncio.Semaphore:
        return self._shares.setdefault(name, asyncio.Semaphore(places))

    @asynccontextmanager
    async def _turn(self, places: asyncio.Semaphore) -> AsyncIterator[None]:
        if places.locked():
            if self._waiting >= MAX_WAITING:
                raise exhausted("Too many requests wait to be received")
            for limit, end in self._receiving.items():
                if not limit.expired():
                    limit.reschedule(end)
        self._waiting += 1
        try:
            await places.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            places.release()

    @asynccontextmanager
    async def _limit(self) -> AsyncIterator[None]:
        start = asyncio.get_running_loop().time()
        seconds = self._hurried if self._waiting else self._patient
        async with asyncio.timeout_at(start + seconds) as limit:
            self._receiving[limit] = start + self._hurried
            try:
                yield
            finally:
                del self._receiving[limit]


class Intake:
    """The bounds on what is received and on what has been received but not answered yet."""

    def __init__(self) -> None:
        self._predictions = Lane(places=6, of_host=5, patient=30.0, hurried=3.0)
        # Health, status and their like are short, and must get through whatever else goes on.
        self._questions = Lane(places=2, of_host=2, patient=5.0, hurried=0.25)
        self._held = 0
        self._trim: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def receiving(self, peer: str, *, prediction: bool) -> AsyncIterator[None]:
        """Holds a place to receive one message in.

        Args:
            peer: the sender, host:port.
            prediction: whether the message asks for a prediction, which may be long.

        Yields:
            Once there is a place.

        Raises:
            ServingError: RESOURCE_EXHAUSTED where too much waits, DEADLINE_EXCEEDED where the
                message takes too long to come.
        """
        lane = self._predictions if prediction else self._questions
        async with lane.place(peer):
            if prediction and self._held > MAX_HELD_BYTES - MAX_MESSAGE_BYTES:
                raise exhausted("Too many bytes of requests are in flight")
            try:
                yield
            except BaseException:
                self._schedule_trim()  # of what had come
                raise

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Accounts for a message of `size` bytes until it is answered.

        Raises ServingError RESOURCE_EXHAUSTED where that were too many in all.
        """
        try:
            if self._held + size > MAX_HELD_BYTES:
                raise exhausted("Too many bytes of requests are in flight")
            self._held += size
            try:
                yield
            finally:
                self._held -= size
        finally:
            if size >= _LARGE:
                self._schedule_trim()

    def _schedule_trim(self) -> None:
        """Gives freed memory back to the system; glibc keeps it otherwise."""
        if self._trim is None:
            self._trim = asyncio.get_running_loop().call_later(_TRIM_SECONDS, self._start_trim)

    def _start_trim(self) -> None:
        self._trim = None
        if hasattr(_LIBC, "malloc_trim"):
            asyncio.get_running_loop().run_in_executor(None, _LIBC.malloc_trim, 0)


def exhausted(message: str) -> ServingError:
    """A request that the server has no room for now; its sender may try again later."""
    return ServingError(Code.RESOURCE_EXHAUSTED, message)


_LIBC = ctypes.CDLL(None)
