"""Ports for servers that cannot be asked which one they took."""

import random
import socket

# Below the ports that systems give to others meanwhile (Linux: from 32768 on).
_PORTS = range(10_000, 32_768)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that no connection is given by chance."""
    draw = random.SystemRandom()  # a seeded one would draw alike in all processes
    while True:
        port = draw.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
