"""`python -m benchmarks.overload`: the embedded server at twice what it can do.

First four clients ask one after another: the capacity. Then 64 clients, each on a connection of its
own and without a second try, send twice as much, with the client's usual deadline. Counted once the
queue is full. `--minutes 30` makes it a soak: does the server's memory stay?
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
import psutil
from tensorflow_serving.apis import prediction_service_pb2_grpc

from benchmarks import options
from benchmarks.serving.servers import Embedded, published
from client.channel import TIMEOUT

CLIENTS, AT_ONCE, LOAD = 64, 4, 2.0
QUEUE = 128  # requests, as serving/README.md states
SAMPLES = 100  # of memory
Call = Callable[[], Awaitable[Any]]
Answer = tuple[int, float, float, grpc.StatusCode]  # client, sent, seconds, what came


def main() -> None:
    parser = options.parser(__doc__)
    parser.add_argument("--minutes", type=float, default=2, help="of the load")
    args = parser.parse_args()
    seconds = 10 if args.quick else 60 * args.minutes
    with tempfile.TemporaryDirectory() as folder, published(Path(folder)) as server:
        capacity = asyncio.run(busy(server, min(seconds / 4, 30)))
        full = min(QUEUE / capacity, TIMEOUT)
        answers, memory = asyncio.run(flooded(server, LOAD * capacity, seconds, full))
    print(options.table(("", "aim", "reached"), rows(capacity, answers, memory, seconds)))


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


async def flooded(
    server: Embedded, rate: float, seconds: float, full: float
) -> tuple[list[Answer], list[float]]:
    """What was sent in so many seconds after the first `full` ones, what came of it, and memory."""
    begin = time.perf_counter() + full
    answers: list[Answer] = []
    memory: list[float] = []
    process = psutil.Process(server.pid)

    async def watch() -> None:
        await asyncio.sleep(full)
        while time.perf_counter() < begin + seconds:
            memory.append(process.memory_info().rss / 2**20)
            await asyncio.sleep(seconds / SAMPLES)

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

    await asyncio.gather(watch(), *(work(client) for client in range(CLIENTS)))
    return answers, memory


@asynccontextmanager
async def connection(server: Embedded) -> AsyncIterator[Call]:
    """A channel of its own, closed at the end: what asks for one answer over it."""
    apart = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(server.address, options=apart) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        yield lambda: stub.Predict(server.request("predict_image"), timeout=TIMEOUT)


def rows(
    capacity: float, answers: list[Answer], memory: list[float], seconds: float
) -> list[tuple[str, str, str]]:
    tenth = SAMPLES // 10
    first, last = np.median(memory[:tenth]), np.median(memory[-tenth:])
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
        (
            f"memory in the first and the last tenth of {seconds / 60:.0f} min, MB",
            "alike",
            f"{first:.0f}, {last:.0f} (at most {max(memory):.0f})",
        ),
    ]


if __name__ == "__main__":
    main()
