"""Command line options that say which model server to ask, and how."""

import argparse
from pathlib import Path

from client.channel import TIMEOUT, Tls
from client.client import PneumoniaClient

HOW_TO_START = "start one with `pneumonia serve`, or name another with --server host:port"


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --server and what belongs to it."""
    group = parser.add_argument_group("model server")
    group.add_argument(
        "--server", default="localhost:8500", metavar="HOST:PORT", help="default: %(default)s"
    )
    group.add_argument("--model", default="pneumonia", help="its name; default: %(default)s")
    group.add_argument(
        "--timeout",
        type=positive_seconds,
        default=TIMEOUT,
        metavar="SECONDS",
        help="for one X-ray, retries included; default: %(default)g",
    )
    group.add_argument("--tls", action="store_true", help="encrypt; trust the system's authorities")
    group.add_argument("--tls-ca", type=Path, metavar="PEM", help="encrypt; trust this authority")
    group.add_argument("--tls-cert", type=Path, metavar="PEM", help="own certificate, mutual TLS")
    group.add_argument("--tls-key", type=Path, metavar="PEM", help="its key")
    group.add_argument(
        "--tls-server-name", metavar="NAME", help="in the server's certificate, if not HOST"
    )


def connect(args: argparse.Namespace) -> PneumoniaClient:
    """The client that the options describe.

    Raises ValueError where they contradict each other, OSError where a PEM file cannot be read.
    """
    files = (args.tls_ca, args.tls_cert, args.tls_key)
    tls = None
    if args.tls or args.tls_server_name or any(files):
        tls = Tls(*files, server_name=args.tls_server_name)
    return PneumoniaClient(args.server, model=args.model, timeout=args.timeout, tls=tls)


def positive_seconds(text: str) -> float:
    """An option's value above zero; argparse turns ValueError into bad usage."""
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: must be a number of seconds above 0")
    return seconds
