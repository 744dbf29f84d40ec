"""`python -m tests.serving.fuzz 20000`: malformed gRPC and HTTP requests for a server of its own.

Ends with 1 where an answer takes over two seconds, health over one, or memory grows.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.serving.conftest import Process
from tests.serving.test_load import throw_at
from tests.serving.tiny_model import export

AT_ONCE = 200  # requests between two looks at the server
GROWTH = 64 * 2**20


def main(count: int, seed: int) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        export(Path(scratch) / "models" / "1")
        server = Process(Path(scratch) / "models", Path(scratch) / "log")
        try:
            return fuzz(server, count, seed)
        finally:
            server.channel.close()
            server.popen.kill()
            server.popen.wait()


def fuzz(server: Process, count: int, seed: int) -> int:
    process = psutil.Process(server.popen.pid)
    check = health_pb2_grpc.HealthStub(server.channel).Check
    throw_at(server, AT_ONCE, seed)
    before = process.memory_info().rss
    slowest = health = 0.0
    for part in range(count // AT_ONCE):
        slowest = max(slowest, throw_at(server, AT_ONCE, seed + 1 + part))
        start = time.monotonic()
        check(health_pb2.HealthCheckRequest())
        health = max(health, time.monotonic() - start)
    grown = process.memory_info().rss - before
    print(
        f"{count} requests from seed {seed}: slowest answer {slowest:.2f} s, health "
        f"{health:.2f} s, memory {grown / 2**20:+.0f} MiB"
    )
    return int(slowest > 2 or health > 1 or grown > GROWTH)


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    code = main(*given, *[20_000, int(time.time())][len(given) :])
    sys.stdout.flush()
    os._exit(code)  # TensorFlow's threads take their time
