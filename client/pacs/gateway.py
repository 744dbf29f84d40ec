"""What goes on at once: films are asked about, answers are stored, the PACS is watched."""

import io
import logging
import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from typing import Final

import pydicom

from client import contract, images
from client.client import PneumoniaClient
from client.errors import (
    ImageRefusedError,
    ModelMissingError,
    ServerAwayError,
    ServerBusyError,
    ServerError,
)
from client.images import ImageError, XRay
from client.pacs import answers
from client.pacs.answers.model import ModelVersion
from client.pacs.destination import AwayError, Destination, RejectedError
from client.pacs.film import NOT_JUDGED, Answer, QueuedFilm
from client.pacs.link import Link
from client.pacs.queue import Queue
from client.pacs.watcher import Watcher
from client.results import Prediction

_TICK: Final = 1.0  # seconds between looks at whether to stop
_CHECK: Final = 10.0  # seconds between looks at whether the peers answer
_STATUS: Final = 5.0  # seconds that the model server has to say what it serves
_DRAWN: Final = {contract.LUNGS, contract.OVERLAY}  # nobody looks at these here
_LOGGER: Final = logging.getLogger(__name__)


class Gateway:
    """Threads around a queue; `start`, then `stop`.

    `served` is the version that the server was seen to answer with.

    Args:
        queue: where the films wait.
        server: the model server.
        pacs: where the answers go.
        model: its name in the answers.
        card: where its model card is, at most 64 characters.
        concurrency: films that are asked about at once, at least 1.
    """

    def __init__(
        self,
        queue: Queue,
        server: PneumoniaClient,
        pacs: Destination,
        *,
        model: str = "pneumonia",
        card: str = "",
        concurrency: int = 3,
    ):
        self.queue = queue
        self.links = Link("server"), Link("pacs")
        self.served: int | None = None
        self._outputs: tuple[str, ...] = ()  # that are asked for; none: all
        self._server = server
        self._pacs = pacs
        self._model = partial(ModelVersion, model, card=card)
        self._stopping = threading.Event()
        self._threads = [
            self._thread(f"ask-{number}", self._ask_next) for number in range(concurrency)
        ]
        self._threads += [
            self._thread("store", self._store_next),
            self._thread("check", self._check),
        ]

    @property
    def is_alive(self) -> bool:
        """Whether every thread is at work."""
        return all(thread.is_alive() for thread in self._threads)

    def watch(self, watcher: Watcher, seconds: float) -> None:
        """Adds a watcher; before `start`.

        Args:
            watcher: looks for films in the PACS.
            seconds: between its looks.
        """

        def look() -> None:
            try:
                watcher.look()
            except (AwayError, RejectedError) as error:
                self.links[1].down(str(error))
            self._stopping.wait(seconds)

        self._threads.append(self._thread("watch", look))

    def start(self) -> None:
        """Returns at once."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Returns when every film is in the queue again, or stored."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._pacs.rest()

    def _thread(self, name: str, step: Callable[[], None]) -> threading.Thread:
        def work() -> None:
            while not self._stopping.is_set():
                try:
                    step()
                except Exception:  # such as a full disk: the next round may do better
                    _LOGGER.exception("a step failed", extra={"step": name})
                    self._stopping.wait(_TICK)

        return threading.Thread(target=work, name=name, daemon=True)

    # The model server

    def _ask_next(self) -> None:
        if not self.links[0].wait(_TICK):
            return
        claimed = self.queue.claim()
        if claimed is None:
            self.queue.wait(_TICK)
            return
        film, content = claimed
        try:
            answer, objects = self._ask(film, content)
        except ImageError as error:
            self._set_aside(film, str(error.reason))
        except ImageRefusedError as error:
            self._set_aside(film, error.code)
        except (ServerAwayError, ServerBusyError, ModelMissingError) as error:
            self.links[0].down(error.code)
            self._write(partial(self.queue.put_back, film.key, error.code, counted=False))
        except ServerError as error:
            self._put_back(film, error.code)
        except Exception as error:
            _LOGGER.exception("not answered", extra={"film": film.key})
            self._put_back(film, type(error).__name__)
        else:
            self.links[0].up()
            self._write(partial(self.queue.answer, film.key, answer, objects))
            extra = {"film": film.key, "decision": answer.decision, "version": answer.version}
            _LOGGER.info("answered", extra=extra)

    def _ask(self, film: QueuedFilm, content: bytes) -> tuple[Answer, dict[str, bytes]]:
        xray, picture = images.read_dicom(content)
        said = self._asked(xray)
        dataset = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
        model, previous = self._model(said.version), None
        if film.version not in (None, said.version):
            previous = self._model(film.version)
        objects = answers.build(dataset, picture, said, model, previous)
        if not said.judged:
            return Answer(said.version, NOT_JUDGED, None), objects
        return Answer(said.version, said.decision, said.probability), objects

    def _asked(self, xray: XRay) -> Prediction:
        try:
            return self._server.predict(xray, cam=True, outputs=self._outputs)
        except ImageRefusedError:  # perhaps by a version that has just come, with other outputs
            return self._server.predict(xray, cam=True)

    def _set_aside(self, film: QueuedFilm, reason: str) -> None:
        self._write(partial(self.queue.fail, film.key, reason))
        _LOGGER.warning("failed", extra={"film": film.key, "reason": reason})

    def _put_back(self, film: QueuedFilm, reason: str) -> None:
        self._write(partial(self.queue.put_back, film.key, reason, counted=True))
        _LOGGER.warning("put back", extra={"film": film.key, "reason": reason})

    def _write(self, change: Callable[[], None]) -> None:
        """Repeats a change until the disk takes it: only a restart frees a film left `asked`."""
        while True:
            try:
                return change()
            except sqlite3.OperationalError:  # such as a full disk
                if self._stopping.wait(_TICK):
                    raise
                _LOGGER.exception("not written", extra={"step": threading.current_thread().name})

    # The PACS

    def _store_next(self) -> None:
        if not self.links[1].wait(_TICK):
            return
        answered = self.queue.next_answered()
        if answered is None:
            if not self.queue.wait(_TICK):
                self._pacs.rest()
                self.queue.tidy()
            return
        film, objects = answered
        try:
            self._pacs.store(list(objects.values()))
        except AwayError as error:
            self.links[1].down(str(error))
            self.queue.put_back(film.key, str(error), counted=False)
        except RejectedError as error:
            self._put_back(film, str(error))
        except Exception as error:
            _LOGGER.exception("not stored", extra={"film": film.key})
            self._put_back(film, type(error).__name__)
        else:
            self.links[1].up()
            self.queue.stored(film.key)
            _LOGGER.info("stored", extra={"film": film.key})

    def _check(self) -> None:
        """Looks whether the peers answer, so that health says it before a film needs them."""
        server, pacs = self.links
        try:
            served = self._server.metadata(_STATUS)
        except ServerError as error:
            server.down(error.code)
        else:
            self.served = served.version
            cam = served.signatures.get(contract.CAM)
            self._outputs = tuple(sorted(cam.outputs.keys() - _DRAWN)) if cam else ()
            server.up()
        try:
            self._pacs.check()
        except (AwayError, RejectedError) as error:
            pacs.down(str(error))
        else:
            pacs.up()
        self._stopping.wait(_CHECK)
