"""The page below a path of a proxy's, such as https://hospital.example/pneumonia."""

import re
from typing import Any, Final

_PLAIN: Final = re.compile(r"(/[\w.~-]+)+")


def checked(text: str) -> str:
    """A path without its last slash, empty for none. Raises ValueError where it is not plain."""
    path = text.rstrip("/")
    if path and not _PLAIN.fullmatch(path):
        raise ValueError(f"{text!r} is no plain path such as /pneumonia")
    return path


class Prefixed:
    """A WSGI application below a prefix: the X-Forwarded-Prefix header's, or else its own.

    It answers whether the proxy leaves the prefix in the request's path or takes it away.
    """

    def __init__(self, application: Any, prefix: str = "") -> None:
        self._application = application
        self._prefix = prefix

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """WSGI's."""
        try:
            prefix = checked(environ.get("HTTP_X_FORWARDED_PREFIX", self._prefix))
        except ValueError:
            prefix = self._prefix
        environ["SCRIPT_NAME"] = prefix
        path = environ["PATH_INFO"]
        if f"{path}/".startswith(f"{prefix}/"):
            environ["PATH_INFO"] = path.removeprefix(prefix) or "/"
        return self._application(environ, start_response)
