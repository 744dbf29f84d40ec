"""One prediction, from checked inputs to output arrays; what gRPC and REST have in common."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from serving.batching import Arrays, Batcher
from serving.servable import Servable


@dataclass(frozen=True)
class Target:
    """One signature of one version, and the outputs wanted of it."""

    servable: Servable
    signature_name: str
    outputs: tuple[str, ...]

    def run(self, inputs: Arrays, timeout: float | None) -> dict[str, np.ndarray]:
        """Runs the signature; raises ServingError."""
        return self.servable.run(self.signature_name, inputs, self.outputs, timeout)


async def predict(
    batcher: Batcher,
    target: Target,
    inputs: Mapping[str, np.ndarray],
    timeout: float | None,
) -> dict[str, np.ndarray]:
    """Queues a prediction and waits for it; `timeout` in seconds.

    Cancelling the coroutine withdraws the request, if no thread has taken it yet. The version
    stays open until the request has left the queue and the session. Raises ServingError.
    """
    target.servable.retain()
    try:
        future = batcher.submit(target, inputs, timeout)
    except BaseException:
        target.servable.release()
        raise
    future.add_done_callback(lambda _: target.servable.release())
    return await asyncio.wrap_future(future)
