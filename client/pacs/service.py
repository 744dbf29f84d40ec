"""The gateway as a process: put together from the command's options, and ended by a signal."""

import argparse
import gc
import logging
import os
import signal
import ssl
import threading
from typing import Final

import waitress

from client.exit_codes import DONE
from client.pacs import log
from client.pacs.destination import Destination, Dimse
from client.pacs.dicomweb import DicomWeb
from client.pacs.gateway import Gateway
from client.pacs.intake import FilmIntake
from client.pacs.pages import create_app
from client.pacs.queue import Queue
from client.pacs.receiver import Receiver, server_context
from client.pacs.rule import CHEST, FRONTAL, Rule
from client.pacs.watcher import Watcher
from client.server_arguments import connect
from client.web.hosts import Hosts

_AHEAD: Final = 32  # films that a watcher fetches before their turn
_LONGEST_TITLE: Final = 16
_LOGGER: Final = logging.getLogger(__name__)


def serve(args: argparse.Namespace) -> int:
    """Runs until SIGTERM or SIGINT; returns the exit code.

    Raises ValueError for options that do not go together, OSError for a file, folder or port that
    cannot be used.
    """
    pacs, title = _pacs(args)
    callers = args.caller or ([title] if title else [])
    if not args.listen and not args.watch:
        raise ValueError("films come from nowhere: give --listen, --watch or both")
    if args.listen and not callers:
        raise ValueError("--listen needs to know who may send: name them with --caller")
    os.umask(0o077)
    log.set_up()
    queue = Queue(args.queue, limit=args.disk_limit * 2**20, tries=args.tries)
    queue.own()
    with connect(args) as server:
        gateway = Gateway(
            queue, server, pacs, model=args.model, card=args.card, concurrency=args.concurrency
        )
        rule = Rule(_capitals(args.body_part) or CHEST, _capitals(args.view) or FRONTAL)
        intake = FilmIntake(queue, rule, lambda: gateway.served, args.film_limit * 2**20)
        if args.watch:
            if not isinstance(pacs, DicomWeb):
                raise ValueError("--watch needs a DICOMweb address as --pacs")
            watcher = Watcher(pacs, intake, args.days, lambda: queue.waiting()[0] < _AHEAD)
            gateway.watch(watcher, args.watch)
        host, port = args.http
        app = create_app(gateway, args.viewer, Hosts(host, args.allowed_hosts))
        page = waitress.create_server(app, host=host, port=port, ident=None)
        threading.Thread(target=page.run, daemon=True, name="http").start()
        receiver = None
        if args.listen:
            receiver = Receiver(intake, args.title, callers, _receiving_tls(args))
            receiver.start(*args.listen)
        gateway.start()
        gc.freeze()  # else collecting what answers leave walks through every module each time
        _LOGGER.info("started")
        _await_signal()
        if receiver:
            receiver.stop()
        gateway.stop()
        page.close()
        queue.close()
    _LOGGER.info("stopped")
    return DONE


def _await_signal() -> None:
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()


def _pacs(args: argparse.Namespace) -> tuple[Destination, str | None]:
    """Where answers go, and that PACS's AE title if it has one."""
    if not args.pacs:
        raise ValueError("name the PACS: --pacs https://host/dicom-web or --pacs TITLE@host:port")
    if "://" in args.pacs:
        return DicomWeb(args.pacs, args.dicom_ca), None
    title, _, address = args.pacs.rpartition("@")
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < len(title) <= _LONGEST_TITLE:
        raise ValueError(f"--pacs {args.pacs}: write https://host/dicom-web or TITLE@host:port")
    return Dimse(args.title, title, host, int(port), _sending_tls(args)), title


def _receiving_tls(args: argparse.Namespace) -> ssl.SSLContext | None:
    if bool(args.dicom_cert) != bool(args.dicom_key):
        raise ValueError("--dicom-cert and --dicom-key go together")
    if not args.dicom_cert:
        return None
    return server_context(args.dicom_cert, args.dicom_key, args.dicom_ca)


def _sending_tls(args: argparse.Namespace) -> ssl.SSLContext | None:
    if not (args.dicom_ca or args.dicom_cert):
        return None
    context = ssl.create_default_context(cafile=args.dicom_ca)
    if args.dicom_cert:
        context.load_cert_chain(args.dicom_cert, args.dicom_key)
    return context


def _capitals(values: list[str] | None) -> tuple[str, ...]:
    return tuple(value.upper() for value in values or ())
