"""`python -m benchmarks.overload`: the embedded server at twice what it can do.

First four clients ask one after another: the capacity. Then 64 clients, each on a connection of its
own and without a second try, send twice as much, with the client's usual deadline. Counted once the
queue is full.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import prediction_service_pb2_grpc

from benchmarks import options
from benchmarks.serving.servers import Embedded, published
from client.channel import TIMEOUT

CLIENTS, AT_ONCE, LOAD = 64, 4, 2.0
QUEUE = 128  # requests, as serving/README.md states
Call = Callable[[], Awaitable[Any]]
Answer = tuple[int, float, float, grpc.StatusCode]  # client, sent, seconds, what came


def main() -> None:
    seconds = 10 if options.quick(__doc__) else 120
    with tempfile.TemporaryDirectory() as folder, published(Path(folder)) as server:
        capacity = asyncio.run(busy(server, seconds / 4))
        full = min(QUEUE / capacity, TIMEOUT)
        answers = asyncio.run(flooded(server, LOAD * capacity, seconds, full))
    print(options.table(("", "aim", "reached"), rows(capacity, answers, seconds)))


async def busy(server: Embedded, seconds: float) -> float:
    """Answers a second to a few clients that always ask."""
    end = time.perf_counter() + seconds

    async def ask() -> int:
        async with connection(server) as call:
            count = 0
            while time.perf_counter() < end:
                await call()
                count += 1
            return count

    return sum(await asyncio.gather(*(ask() for _ in range(AT_ONCE)))) / seconds


async def flooded(server: Embedded, rate: float, seconds: float, full: float) -> list[Answer]:
    """What was sent in so many seconds after the first `full` ones, and what came of it."""
    begin = time.perf_counter() + full
    answers: list[Answer] = []

    async def send(client: int, call: Call) -> None:
        sent = time.perf_counter()
        code = grpc.StatusCode.OK
        try:
            await call()
        except grpc.aio.AioRpcError as error:
            code = error.code()
        if begin <= sent < begin + seconds:
            answers.append((client, sent, time.perf_counter() - sent, code))

    async def work(client: int) -> None:
        draw = np.random.default_rng(client)
        sending = set()
        async with connection(server) as call:
            while time.perf_counter() < begin + seconds + full:
                await asyncio.sleep(draw.exponential(CLIENTS / rate))
                sending.add(asyncio.create_task(send(client, call)))
            await asyncio.gather(*sending)

    await asyncio.gather(*(work(client) for client in range(CLIENTS)))
    return answers


@asynccontextmanager
async def connection(server: Embedded) -> AsyncIterator[Call]:
    """A channel of its own, closed at the end: what asks for one answer over it."""
    apart = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(server.address, options=apart) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        yield lambda: stub.Predict(server.request("predict_image"), timeout=TIMEOUT)


def rows(capacity: float, answers: list[Answer], seconds: float) -> list[tuple[str, str, str]]:
    served = [one for one in answers if one[3] is grpc.StatusCode.OK]
    refused = [one for one in answers if one[3] is grpc.StatusCode.RESOURCE_EXHAUSTED]
    shares = [sum(one[0] == client for one in served) for client in range(CLIENTS)]
    jain = sum(shares) ** 2 / (CLIENTS * sum(share**2 for share in shares))
    goodput = len(served) / seconds / capacity
    waits = [one[2] for one in served]
    return [
        ("capacity, films a second", "", f"{capacity:.1f}"),
        ("sent, of the capacity", f"{LOAD:.1f}", f"{len(answers) / seconds / capacity:.2f}"),
        ("answered, of the capacity", "0.95", f"{goodput:.2f}"),
        ("neither answered nor refused", "0", str(len(answers) - len(served) - len(refused))),
        (
            "99 of 100 answers within, s",
            f"{min((QUEUE + AT_ONCE) / capacity, TIMEOUT):.0f}",
            f"{np.percentile(waits, 99):.0f} (median {statistics.median(waits):.0f})",
        ),
        (
            "99 of 100 refusals within, ms",
            "at once",
            f"{1000 * np.percentile([one[2] for one in refused], 99):.0f}",
        ),
        ("fairness among clients (Jain's index; 1: alike)", "", f"{jain:.2f}"),
    ]


if __name__ == "__main__":
    main()
