"""Command line options that say which model server to ask, and how."""

import argparse
import logging
from pathlib import Path
from typing import Any

from client.channel import TIMEOUT, Tls
from client.client import PneumoniaClient
from client.request_log.writer import LogLimits, RequestLog

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
    group.add_argument("--label", help="of the version to ask, such as canary; default: the newest")
    group = parser.add_argument_group("request log, for a server that keeps none")
    add: Any = group.add_argument
    add("--log", type=Path, metavar="PREFIX", help="folder and beginning of the files' names")
    add("--log-pixels", action="store_true", help="with the films; the folder must have mode 0700")
    add("--log-megabytes", type=int, default=1024, metavar="MB", help="default: %(default)s")
    add("--log-days", type=float, default=90, metavar="DAYS", help="default: %(default)g")


def connect(args: argparse.Namespace) -> PneumoniaClient:
    """The client that the options describe.

    Raises ValueError where they contradict each other or no log can be kept, OSError where a PEM
    file cannot be read.
    """
    files = (args.tls_ca, args.tls_cert, args.tls_key)
    tls = None
    if args.tls or args.tls_server_name or any(files):
        tls = Tls(*files, server_name=args.tls_server_name)
    log = None
    if args.log:
        limits = LogLimits(args.log_megabytes, args.log_days)
        log = RequestLog(args.log, limits, pixels=args.log_pixels, complain=_complain)
    return PneumoniaClient(
        args.server, model=args.model, label=args.label, timeout=args.timeout, tls=tls, log=log
    )


def _complain(reason: str) -> None:
    logging.getLogger(__name__).error("the request log is not written: %s", reason)


def positive_seconds(text: str) -> float:
    """An option's value above zero; argparse turns ValueError into bad usage."""
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: must be a number of seconds above 0")
    return seconds
