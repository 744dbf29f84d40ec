"""Whose requests the page answers: those that its own pages send, under a name of its own."""

import ipaddress
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

LOCAL: Final = ("localhost", "127.0.0.1", "::1")


class Hosts:
    """The names of the page.

    Another site's page can make a browser ask this machine, under a name that it points here ("DNS
    rebinding") or under ours. The first shows in the Host header, the second in Origin.

    Args:
        bound: the address that the page listens on.
        named: names besides.
    """

    def __init__(self, bound: str = LOCAL[1], named: Iterable[str] = ()) -> None:
        self._named = {_plain(name) for name in named}
        self._names = {*LOCAL, _plain(bound), *self._named}
        self._any_address = _plain(bound) in ("0.0.0.0", "::")

    def knows(self, host: str) -> bool:
        """Whether a Host header names this page. No name can be pointed at an address."""
        name = _hostname(host)
        return name in self._names or (self._any_address and _is_address(name))

    def allows(self, origin: str, host: str) -> bool:
        """Tells whether a page may send something to this one.

        Args:
            origin: the request's Origin header.
            host: its Host header.

        Returns:
            True where the page is this one's own.
        """
        own = urlsplit(origin).netloc.lower()
        return own == host.lower() or _hostname(own) in self._named


def _hostname(netloc: str) -> str:
    try:
        return _plain(urlsplit(f"//{netloc}").hostname or "")
    except ValueError:
        return ""


def _plain(name: str) -> str:
    return name.strip("[]").rstrip(".").lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
