"""Keeps other people's web pages out. The sandbox has no passwords, and any page that a browser here shows can send to loopback."""

import ipaddress
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from outlook_sandbox.settings import Settings

OWN = ("/sandbox/", "/outlook/", "/customers/")
"""What only the sandbox's own pages, and programs, may send to. Other sites' pages may send people to sign in."""
ELSEWHERE = "The sandbox is localhost, not '{host}' (SANDBOX_ALLOW_OTHER_HOSTS=true if you mean it)."
FOREIGN = "Only the sandbox's own pages may ask this, and programs, not a page of {origin}."


class Guard:
    """Refuses requests for another host's name (a page's way around the browser: DNS rebinding), and those that a page of
    another origin sends to what is not for it."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._any_host = settings.allow_other_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._refusal(scope) if scope["type"] == "http" else None
        await (refused or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        host = origin = ""
        for name, value in scope["headers"]:
            if name == b"host":
                host = value.decode("latin-1")
            elif name == b"origin":
                origin = value.decode("latin-1")
        if not (self._any_host or _names_loopback(host)):
            return _problem(421, ELSEWHERE.format(host=host))
        if origin and scope["path"].startswith(OWN) and origin.partition("://")[2].casefold() != host.casefold():
            return _problem(403, FOREIGN.format(origin=origin))
        return None


def is_loopback(host: str) -> bool:
    """Whether a host, given by name or address, is this machine as only it can see itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=256)
def _names_loopback(host: str) -> bool:
    """Whether a Host header, which may have a port, says so."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def _problem(status: int, detail: str) -> JSONResponse:
    told = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(told, status, media_type="application/problem+json")
