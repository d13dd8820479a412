"""The HTTP side that all services share: errors become problem details; internal doors have a lock, a limit and a log."""

import hmac
import time
from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, SecretStr
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common import telemetry
from common.errors import (
    AdminConsentNeeded,
    AttendaraError,
    Conflict,
    Gone,
    ReconnectNeeded,
    Rejected,
    Throttled,
    Transient,
)

log = structlog.get_logger()

LARGEST_CALL = 64 * 1024
"""Bytes of a body at an internal door: what Microsoft sends back to a browser is the most that is ever passed on."""
LONGEST_DETAIL = 1_000
PROBLEM_JSON = "application/problem+json"
REASONS = {400: "malformed", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}


class Problem(BaseModel):
    """How every refusal looks (RFC 9457), as `application/problem+json`. `title` is a short reason to branch on."""

    type: str
    title: str
    status: int
    detail: str


def problems(*told: tuple[int, str, str]) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: status, reason, and what it means there; a status may have several reasons."""
    described: dict[int | str, dict[str, Any]] = {}
    for status, reason, words in told:
        example = {"value": _document(status, reason, words)}
        if status in described:
            described[status]["description"] += f" Or {reason}: {words}."
            described[status]["content"][PROBLEM_JSON]["examples"][reason] = example
        else:
            content = {PROBLEM_JSON: {"schema": Problem.model_json_schema(), "examples": {reason: example}}}
            described[status] = {"description": f"{reason}: {words}.", "content": content}
    return described


def problem(status: int, reason: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An RFC 9457 problem document; `type` is our short reason, which callers may branch on."""
    return JSONResponse(_document(status, reason, detail), status_code=status, headers=headers, media_type=PROBLEM_JSON)


def _document(status: int, reason: str, detail: str) -> dict[str, Any]:
    return {"type": f"urn:attendara:{reason}", "title": reason, "status": status, "detail": detail}


def status_of(error: AttendaraError) -> int:
    match error:
        case Rejected():
            return error.status
        case Conflict() | ReconnectNeeded() | AdminConsentNeeded():
            return 409
        case Gone():
            return 410
        case Transient():
            return 503
    return 502


async def _answer(request: Request, error: Exception) -> JSONResponse:
    status, reason, detail = _told(error)
    if status >= 500:
        log.warning("request failed", path=request.url.path, reason=reason, error=detail)
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if isinstance(error, Throttled):
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    return problem(status, reason, detail[:LONGEST_DETAIL].encode(errors="replace").decode(), headers)


def _told(error: Exception) -> tuple[int, str, str]:
    match error:
        case AttendaraError():
            return status_of(error), error.reason, str(error)
        case HTTPException():  # the framework's own: an unknown path or method, a body that can't be read
            return error.status_code, REASONS.get(error.status_code, "refused"), error.detail
        case RequestValidationError():  # FastAPI's own answer repeats what was sent, which may be a code or a token
            wrong = (f"{'.'.join(str(step) for step in one['loc'])}: {one['msg']}" for one in error.errors())
            return 422, "invalid", "; ".join(wrong)
        case UnicodeEncodeError():  # JSON can spell half a character
            return 422, "invalid", "there is a character that nothing can store"
    return 503, "store-away", type(error).__name__


async def _unforeseen(_: Request, __: Exception) -> JSONResponse:
    return problem(500, "internal-error", "something went wrong here; the log says what")


def answer_with_problems(app: FastAPI, away: tuple[type[Exception], ...] = ()) -> None:
    """Whatever goes wrong becomes a problem document with the fitting status; `away` (store.AWAY) is 503."""
    for kind in (AttendaraError, HTTPException, RequestValidationError, UnicodeEncodeError, *away):
        app.add_exception_handler(kind, _answer)
    app.add_exception_handler(Exception, _unforeseen)


class Lock:
    """Lets in callers with one of the credentials, each shown as `Authorization: Bearer <name>:<secret>`.

    A FastAPI dependency: the caller's name, or 401. One caller may have several credentials.
    """

    def __init__(self, accepted: Sequence[SecretStr]) -> None:
        self._accepted = [credential.get_secret_value() for credential in accepted]

    async def __call__(self, request: Request) -> str:
        if name := self.caller(request.headers):
            return name
        raise Rejected("a service credential is needed here", status=401, reason="no-credential")

    def caller(self, headers: Headers) -> str | None:
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        fitting = [credential for credential in self._accepted if hmac.compare_digest(shown.encode(), credential.encode())]
        return fitting[0].partition(":")[0] if fitting and scheme.lower() == "bearer" else None


class Doorkeeper:
    """Middleware of internal doors: no body larger than LARGEST_CALL is read, and each call is one line in the log.

    The line and the span have the caller's name (None for who doesn't get in) and the route's template; the line has
    no query and no body.
    """

    def __init__(self, app: ASGIApp, lock: Lock) -> None:
        self._app = app
        self._lock = lock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/internal/"):
            return await self._app(scope, receive, send)
        caller, status, began = self._lock.caller(Headers(scope=scope)), 500, time.monotonic()
        if caller:
            telemetry.note("attendara.caller", caller)

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, bounded(receive, LARGEST_CALL), noted)
        finally:
            log.info(
                "internal call",
                caller=caller,
                method=scope["method"],
                route=getattr(scope.get("route"), "path", None),
                status=status,
                seconds=round(time.monotonic() - began, 4),
            )


def bounded(receive: Receive, largest: int) -> Receive:
    """Reads no more than `largest` bytes of a body, whatever length it was said to have; more is a 413."""
    left = largest

    async def reading() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, "the body is too large")
        return message

    return reading
