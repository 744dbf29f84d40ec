"""One JSON object a line on standard error, and nothing that a film or another library says.

Libraries quote what they stumble over, a patient's name among it; so only this package is heard,
and that the request log is not written; and an exception gives its type and place, not its words.
"""

import json
import logging
import sys
import threading
import time
import traceback
import warnings
from typing import Final

_HEARD: Final = ("client.pacs", "client.server_arguments")
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName"}


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{when}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info and record.exc_info[0]:
            frames = traceback.extract_tb(record.exc_info[2])
            line["error"] = record.exc_info[0].__name__
            line["trail"] = [f"{frame.filename}:{frame.lineno}" for frame in frames]
        return json.dumps(line)


def set_up() -> None:
    """Lets these loggers speak on standard error, and no other."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json())
    logging.getLogger().addHandler(logging.NullHandler())
    for name in _HEARD:
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    warnings.simplefilter("ignore")
    threading.excepthook = _ended


def _ended(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        raised = (args.exc_type, args.exc_value, args.exc_traceback)
        logging.getLogger("client.pacs").error("a thread ended", exc_info=raised)
