"""The page's border: requests that are not meant for it."""

from __future__ import annotations

import ipaddress
import re
import socket

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
EVERYWHERE = frozenset({"0.0.0.0", "::", ""})


class HostGuard:
    """ASGI middleware that answers 403 to requests that another site made a browser send.

    A name that an attacker owns can be pointed at this machine (DNS rebinding), so ``Host`` must be
    one that the page was started for: on this machine alone, a name of the loopback; on the
    network, an address, ``localhost``, or the name that it listens at. ``Origin`` must be that
    host. Nothing of a refused request is read.

    Args:
        app: what it guards.
        host: address that the page listens at.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app, self.host = app, host.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket") or self._admits(Headers(scope=scope)):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            answer = PlainTextResponse("this page is served under another address", 403)
            await answer(scope, receive, send)

    def _admits(self, headers: Headers) -> bool:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.knows(name_of(hosts[0])):
            return False
        ours = {f"{scheme}://{hosts[0].lower()}" for scheme in ("http", "https")}
        cross = headers.get("sec-fetch-site") == "cross-site"
        navigates = headers.get("sec-fetch-mode") == "navigate"
        same = all(origin.lower() in ours for origin in headers.getlist("origin"))
        return same and (navigates or not cross)

    def knows(self, name: str) -> bool:
        """Whether a host name is one that the page was started for."""
        if name == self.host or (name in LOOPBACK and self.host in LOOPBACK | EVERYWHERE):
            return True
        if self.host in LOOPBACK:
            return False
        return name == "localhost" or name == socket.gethostname().lower() or _is_address(name)


def name_of(host: str) -> str:
    """The name in a ``Host`` header, without its port; empty if it is none.

    >>> name_of("LocalHost:7860"), name_of("[::1]:7860"), name_of("evil.example/:80")
    ('localhost', '::1', '')
    """
    match = re.fullmatch(r"(?:\[([0-9a-f:.]+)\]|([^\s:/@\[\]]+))(?::\d{1,5})?", host.lower())
    return (match[1] or match[2]) if match else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
