"""The synchronous client; safe to share between threads."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar

import grpc

from client import exchange
from client.channel import TIMEOUT, Tls, open_channel
from client.errors import AbandonedError, ServerError, from_rpc
from client.flow import MOST, Flow
from client.images import ImageError, XRay, read
from client.request_log.writer import RequestLog
from client.results import Metadata, Outcome, Prediction, VersionStatus

_LOOK = 0.5  # seconds between looks at whether an answer is still wanted

Image = str | Path | bytes | BinaryIO | XRay
AnyImage = TypeVar("AnyImage", bound=Image)


class PneumoniaClient:
    """Sends X-rays to a model server that speaks TensorFlow Serving's gRPC API.

    Every call raises a ServerError, by kind: ServerAwayError, ServerBusyError, DeadlineError,
    ImageRefusedError, ModelMissingError. A server that is away (UNAVAILABLE) or busy
    (RESOURCE_EXHAUSTED) is asked up to four times; nothing else is repeated.

    Args:
        target: "host:port".
        model: the model's name.
        version: its number; without it or a label, the newest.
        label: a label of the server's configuration, such as "canary".
        timeout: seconds for one call, retries included.
        tls: the files for encryption; None speaks plain text.
        log: where the answers are written; it is closed with the client.
    """

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
        self._channel = open_channel(grpc, target, tls)
        self._methods = exchange.Methods(self._channel)

    @property
    def keeps(self) -> str:
        """What the request log keeps: "nothing", "answers" or "films"."""
        if self._log is None:
            return "nothing"
        return "films" if self._log.pixels else "answers"

    def predict(
        self,
        image: Image,
        *,
        cam: bool = False,
        outputs: Iterable[str] = (),
        abandoned: Callable[[], bool] | None = None,
    ) -> Prediction:
        """Asks for one X-ray.

        Args:
            image: a path, the file's bytes, an open binary file, or an XRay that was read before.
            cam: also asks for heat map, lungs and overlay.
            outputs: names of the signature's outputs to compute; none: all. The three that an
                answer consists of, probability, threshold and label, must be among them.
            abandoned: is called twice a second and says whether nobody waits for the answer any
                more.

        Returns:
            The answer; with `cam`, its heat map is float32[224,224] in [0,1].

        Raises:
            ImageError: the image cannot be used; nothing was sent.
            AbandonedError: `abandoned` said so.
            ServerError: the server did not answer; its class says why.
        """
        xray = image if isinstance(image, XRay) else read(image)
        method: Any = self._methods.predict
        if abandoned:
            method = partial(_wanted, method, abandoned)
        start = time.perf_counter()
        request = self._requests.predict(xray, cam, outputs)
        response = self._call(method, request)
        latency = time.perf_counter() - start
        return exchange.answered(xray, request, response, latency, self._log)

    def stream(
        self, images: Iterable[AnyImage], *, cam: bool = False, most: int = MOST
    ) -> Iterator[Outcome[AnyImage]]:
        """Asks for many X-rays, as many at a time as the server works on.

        Args:
            images: as of `predict`; at most twice as many as are asked about are held at once.
            cam: also asks for heat map, lungs and overlay.
            most: requests in flight at most, at least 1.

        Yields:
            An outcome for each image, in the images' order; one that fails carries its error.
        """
        flow = Flow(most)
        pool = ThreadPoolExecutor(most, thread_name_prefix="predict")
        waiting: deque[Future[Outcome[AnyImage]]] = deque()
        try:
            for image in images:
                while len(asked := [one for one in waiting if not one.done()]) >= flow.limit:
                    wait(asked, return_when=FIRST_COMPLETED)
                while waiting and (waiting[0].done() or len(waiting) >= 2 * flow.limit):
                    yield waiting.popleft().result()
                waiting.append(pool.submit(self._outcome, image, cam, flow))
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def status(self, timeout: float | None = None) -> list[VersionStatus]:
        """The model's versions on the server, newest first.

        `timeout`: in seconds, in place of the client's.
        """
        request = self._requests.status()
        return exchange.statuses(self._call(self._methods.status, request, timeout))

    def metadata(self, timeout: float | None = None) -> Metadata:
        """The served version and its signatures.

        `timeout`: in seconds, in place of the client's.
        """
        request = self._requests.metadata()
        return exchange.metadata(self._call(self._methods.metadata, request, timeout))

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()
        if self._log:
            self._log.close()

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the connection."""
        self.close()

    def _outcome(self, image: AnyImage, cam: bool, flow: Flow) -> Outcome[AnyImage]:
        try:
            xray = image if isinstance(image, XRay) else read(image)
            with flow.request():
                return Outcome(image, prediction=self.predict(xray, cam=cam))
        except (ImageError, ServerError) as error:
            return Outcome(image, error=error)

    def _call(self, method: Any, request: Any, timeout: float | None = None) -> Any:
        try:
            return method(request, timeout=timeout or self._timeout)
        except grpc.RpcError as error:
            raise from_rpc(error, self.target) from None


def _wanted(method: Any, abandoned: Callable[[], bool], request: Any, timeout: float) -> Any:
    call = method.future(request, timeout=timeout)
    while not abandoned():
        try:
            return call.result(_LOOK)
        except grpc.FutureTimeoutError:
            continue
    call.cancel()
    raise AbandonedError("nobody waits for the answer any more")
