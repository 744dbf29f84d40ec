"""The asyncio client: the same calls as the synchronous one, awaited."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Any, Self

import grpc

from client import exchange
from client.channel import TIMEOUT, Tls, open_channel
from client.client import AnyImage, Image
from client.errors import ServerError, from_rpc
from client.flow import MOST, Flow
from client.images import ImageError, XRay, read
from client.request_log.writer import RequestLog
from client.results import Metadata, Outcome, Prediction, VersionStatus


class AsyncPneumoniaClient:
    """`client.client.PneumoniaClient` for asyncio; make it inside the running event loop."""

    def __init__(
        self,
        target: str = "localhost:8500",
        *,
        model: str = "pneumonia",
        version: int | None = None,
        label: str | None = None,
        timeout: float = TIMEOUT,
        tls: Tls | None = None,
        log: RequestLog | None = None,
    ):
        self.target = target
        self._timeout = timeout
        self._requests = exchange.Requests(model, version, label)
        self._log = log
        self._channel = open_channel(grpc.aio, target, tls)
        self._methods = exchange.Methods(self._channel)

    async def predict(self, image: Image, *, cam: bool = False) -> Prediction:
        """Asks for one X-ray; it is read in a thread, so that the loop goes on.

        Args:
            image: a path, the file's bytes, an open binary file, or an XRay that was read before.
            cam: also asks for heat map, lungs and overlay.

        Returns:
            The answer; with `cam`, its heat map is float32[224,224] in [0,1].

        Raises:
            ImageError: the image cannot be used; nothing was sent.
            ServerError: the server did not answer; its class says why.
        """
        xray = image if isinstance(image, XRay) else await asyncio.to_thread(read, image)
        start = time.perf_counter()
        request = self._requests.predict(xray, cam)
        response = await self._call(self._methods.predict, request)
        latency = time.perf_counter() - start
        return exchange.answered(xray, request, response, latency, self._log)

    async def stream(
        self, images: Iterable[AnyImage], *, cam: bool = False, most: int = MOST
    ) -> AsyncIterator[Outcome[AnyImage]]:
        """Asks for many X-rays, as many at a time as the server works on.

        Args:
            images: as of `predict`; at most twice as many as are asked about are held at once.
            cam: also asks for heat map, lungs and overlay.
            most: requests in flight at most, at least 1.

        Yields:
            An outcome for each image, in the images' order; one that fails carries its error.
        """
        flow = Flow(most)
        waiting: deque[asyncio.Task[Outcome[AnyImage]]] = deque()
        try:
            for image in images:
                while len(asked := [one for one in waiting if not one.done()]) >= flow.limit:
                    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                while waiting and (waiting[0].done() or len(waiting) >= 2 * flow.limit):
                    yield await waiting.popleft()
                waiting.append(asyncio.create_task(self._outcome(image, cam, flow)))
            while waiting:
                yield await waiting.popleft()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def status(self, timeout: float | None = None) -> list[VersionStatus]:
        """The model's versions on the server, newest first.

        `timeout`: in seconds, in place of the client's.
        """
        request = self._requests.status()
        return exchange.statuses(await self._call(self._methods.status, request, timeout))

    async def metadata(self, timeout: float | None = None) -> Metadata:
        """The served version and its signatures.

        `timeout`: in seconds, in place of the client's.
        """
        request = self._requests.metadata()
        return exchange.metadata(await self._call(self._methods.metadata, request, timeout))

    async def close(self) -> None:
        """Ends the connection."""
        await self._channel.close()
        if self._log:
            await asyncio.to_thread(self._log.close)

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends the connection."""
        await self.close()

    async def _outcome(self, image: AnyImage, cam: bool, flow: Flow) -> Outcome[AnyImage]:
        try:
            xray = image if isinstance(image, XRay) else await asyncio.to_thread(read, image)
            with flow.request():
                return Outcome(image, prediction=await self.predict(xray, cam=cam))
        except (ImageError, ServerError) as error:
            return Outcome(image, error=error)

    async def _call(self, method: Any, request: Any, timeout: float | None = None) -> Any:
        try:
            return await method(request, timeout=timeout or self._timeout)
        except grpc.RpcError as error:
            raise from_rpc(error, self.target) from None
