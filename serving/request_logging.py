"""TensorFlow Serving's request logging: which models' answers are written, and where.

Only the server's own flags and files turn it on: who can reach the port may not name files.
"""

import logging
import random
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from client.request_log.record import Record, digest
from client.request_log.writer import LogLimits, RequestLog, RequestLogError
from serving import logs, pictures
from serving.config_files import ConfigFileError
from serving.errors import invalid_argument
from serving.metrics import Metrics
from serving.servable import Servable

STUDY: Final = "study-sha256"  # gRPC metadata, HTTP header: the caller's hash of the study
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_TYPES: Final = ("", "tfrecord")  # of a LogCollectorConfig
_EXAMPLES: Final = "examples"
_IMAGE: Final = "image/encoded"


@dataclass(frozen=True)
class Logger:
    """One model's log, and the share of its requests that is written."""

    log: RequestLog
    rate: float

    def hashes(self, inputs: Mapping[str, np.ndarray]) -> tuple[list[str], list[bytes]]:
        """SHA-256 of each film of a request, and the films where they are kept."""
        films = [
            _film(alias, value)
            for alias, array in inputs.items()
            if array.dtype == object
            for value in array.ravel()
        ]
        return [digest(film) for film in films], films if self.log.pixels else []

    def put(
        self,
        servable: Servable,
        signature: str,
        films: tuple[list[str], list[bytes]],
        outputs: Mapping[str, np.ndarray],
        latency: float,
        study: str,
    ) -> None:
        """Hands one answer over to be written; returns at once.

        Args:
            servable: the version that answered.
            signature: the signature's name.
            films: what `hashes` returned for the request.
            outputs: arrays by name, N rows each.
            latency: seconds from request to answer.
            study: the caller's hash of the study; what is none is left out.
        """
        hashes, pixels = films
        self.log.put(
            Record(
                time=time.time(),
                model=servable.name,
                version=servable.version,
                signature=signature,
                hashes=hashes,
                outputs=outputs,
                latency=latency,
                study=study if _SHA256.fullmatch(study) else "",
                rate=self.rate,
                pixels=pixels,
            )
        )


class RequestLogging:
    """The loggers by model; none, until a configuration asks for them."""

    def __init__(self, metrics: Metrics, limits: LogLimits, *, pixels: bool) -> None:
        self._metrics = metrics
        self._limits = limits
        self._pixels = pixels
        self._loggers: dict[str, Logger] = {}

    @contextmanager
    def taking(self, config: Any) -> Iterator[None]:
        """Takes the LoggingConfigs out of a ModelServerConfig that this server's own file holds.

        The block then takes over what is left; where it raises, logging stays as it was. Waits
        for disks, so not for the event loop's thread.

        Raises ConfigFileError for a log that cannot be kept, ServingError for one that TensorFlow
        Serving would not know either.
        """
        wanted: dict[str, Logger] = {}
        with ExitStack() as made:
            for model in config.model_config_list.config:
                if model.HasField("logging_config"):
                    taken = {logger.log.prefix for logger in wanted.values()}
                    wanted[model.name] = self._logger(model.name, model.logging_config, taken, made)
                    model.ClearField("logging_config")
            yield
            made.pop_all()
        before, self._loggers = self._loggers, wanted
        for name, logger in before.items():
            if name not in wanted or wanted[name].log is not logger.log:
                logger.log.close()

    def sampled(self, model: str) -> Logger | None:
        """The model's logger, if this request is one of those that are written."""
        logger = self._loggers.get(model)
        return logger if logger and random.random() < logger.rate else None

    def close(self) -> None:
        """Writes what waits."""
        for logger in self._loggers.values():
            logger.log.close()

    def _logger(self, model: str, config: Any, taken: set[Path], made: ExitStack) -> Logger:
        collector = config.log_collector_config
        if collector.type not in _TYPES:
            # core/log_collector.cc
            raise invalid_argument(f"Cannot find LogCollector::Factory for type: {collector.type}")
        prefix = Path(collector.filename_prefix)
        rate = config.sampling_config.sampling_rate
        if not prefix.is_absolute() or not prefix.name:
            raise ConfigFileError(
                f"logging_config of {model}: filename_prefix {str(prefix)!r} must be a folder's "
                "absolute path and the beginning of a file's name"
            )
        if prefix in taken:
            raise ConfigFileError(
                f"logging_config of {model}: another model's log has this filename_prefix; give "
                "each its own"
            )
        if not 0 <= rate <= 1:
            raise ConfigFileError(
                f"logging_config of {model}: sampling_rate {rate:g} must lie in 0 to 1"
            )
        kept = self._loggers.get(model)
        if kept and kept.log.prefix == prefix:
            return Logger(kept.log, rate)
        try:
            log = RequestLog(
                prefix,
                self._limits,
                pixels=self._pixels,
                tell=lambda status, count: self._metrics.logged(model, status, count),
                complain=lambda reason: logs.event(
                    "request log not written", level=logging.ERROR, model=model, reason=reason
                ),
            )
        except RequestLogError as error:
            raise ConfigFileError(f"logging_config of {model}: {error}") from error
        made.callback(log.close)
        return Logger(log, rate)


def _film(alias: str, value: Any) -> bytes:
    """The film in a value: a tf.Example holds it as one of its features."""
    content = value if isinstance(value, bytes) else str(value).encode()
    image = pictures.features(content).get(_IMAGE) if alias == _EXAMPLES else None
    return image.bytes_list.value[0] if image and image.bytes_list.value else content
