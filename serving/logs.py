"""Structured logs: one JSON object a line, on standard error."""

import json
import logging
import sys
import time
import traceback
from typing import Any

LOGGER = logging.getLogger("serving")

# For libraries that would log what a malformed request holds.
SILENT = logging.getLogger("serving.silent")
SILENT.disabled = True


class JsonFormatter(logging.Formatter):
    """One record as one line of JSON: time (UTC), level, event, then the event's own fields.

    An exception is told by its type and its traceback, not by its message, which may quote what
    was being worked on.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
            line["traceback"] = traceback.format_tb(record.exc_info[2])
        return json.dumps(line, default=str)


def configure() -> None:
    """Sends every log of the process through the JSON formatter; once, in the server's process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("tensorflow").setLevel(logging.WARNING)


def event(name: str, *, level: int = logging.INFO, error: bool = False, **fields: Any) -> None:
    """Logs an event with its fields.

    Args:
        name: the event's, a few fixed words.
        level: of Python's logging.
        error: also logs the traceback of the exception that is being handled.
        **fields: models, versions, methods, codes and durations, never a request's content: an
            X-ray, its file name or its patient must not end up in a log.
    """
    LOGGER.log(level, name, extra={"fields": fields}, exc_info=error)
