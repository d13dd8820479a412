"""The HTTP side that all services share: errors become problem details, and internal doors have a lock."""

import hmac
from collections.abc import Callable, Sequence

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import SecretStr

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


def problem(status: int, reason: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An RFC 9457 problem document; `type` is our short reason, which callers may branch on."""
    return JSONResponse(
        {"type": f"urn:attendara:{reason}", "title": reason, "status": status, "detail": detail},
        status_code=status,
        headers=headers,
        media_type="application/problem+json",
    )


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
    if not isinstance(error, AttendaraError):
        error = Transient(type(error).__name__, reason="store-away")
    status = status_of(error)
    if status >= 500:
        log.warning("request failed", path=request.url.path, reason=error.reason, error=str(error))
    retry = {"Retry-After": str(max(1, round(error.retry_after)))} if isinstance(error, Throttled) else None
    return problem(status, error.reason, str(error), retry)


def answer_with_problems(app: FastAPI, away: tuple[type[Exception], ...] = ()) -> None:
    """Every AttendaraError that leaves a route becomes a problem document with the fitting status; `away` (store.AWAY) is 503."""
    kinds: tuple[type[Exception], ...] = (AttendaraError, *away)
    for kind in kinds:
        app.add_exception_handler(kind, _answer)


def internal_door(accepted: Sequence[SecretStr]) -> Callable[[Request], object]:
    """A FastAPI dependency that lets in callers with one of the credentials and returns the caller's name.

    The credential is sent as `Authorization: Bearer <name>:<secret>`; anything else is 401.
    """
    known = [credential.get_secret_value().encode() for credential in accepted]

    async def caller(request: Request) -> str:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        fits = [hmac.compare_digest(shown.encode(), credential) for credential in known]
        if scheme.lower() != "bearer" or not any(fits):
            raise Rejected("a service credential is needed here", status=401, reason="no-credential")
        return shown.partition(":")[0]

    return caller
