"""How the control API refuses: problem details (RFC 9457), whatever the reason."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outlook_sandbox.control.models import Problem

MEDIA_TYPE = "application/problem+json"
PREFIX = "/sandbox/v1"
MOST_SHOWN = 20
LARGEST_BODY = 16 * 1024 * 1024


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route says in its description of how it may refuse, beside what every route does."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        str(status): {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}} for status in statuses
    }


def install(app: FastAPI) -> None:
    """Have the application answer so under /sandbox/v1, and describe it; every other door keeps its own way."""
    app.add_middleware(_Bounded)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _not_understood)
    describe = app.openapi

    def described() -> dict[str, Any]:
        document = describe()
        schemas = document["components"]["schemas"]
        if "Problem" not in schemas:
            schemas["Problem"] = Problem.model_json_schema()
            del schemas["HTTPValidationError"], schemas["ValidationError"]
            for operation in (each for path in document["paths"].values() for each in path.values()):
                usual = (400, 413, 422) if "requestBody" in operation else (422,) if "parameters" in operation else ()
                operation["responses"] |= refusals(*usual)
        return document

    app.openapi = described  # type: ignore[method-assign]


class _Bounded:
    """Stops reading a body that is too large."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        size = 0

        async def bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > LARGEST_BODY:
                raise HTTPException(413, f"The body is larger than {LARGEST_BODY // 1024**2} MiB.")
            return message

        await self._app(scope, bounded, send)


async def _refused(request: Request, reason: Exception) -> Response:
    assert isinstance(reason, HTTPException)  # noqa: S101 - what it was installed for
    if not request.url.path.startswith(PREFIX):
        return await http_exception_handler(request, reason)
    return _problem(reason.status_code, reason.detail, reason.headers)


async def _not_understood(request: Request, reason: Exception) -> Response:
    assert isinstance(reason, RequestValidationError)  # noqa: S101 - what it was installed for
    if not request.url.path.startswith(PREFIX):
        return await request_validation_exception_handler(request, reason)
    return _problem(422, "; ".join(_sentence(mistake) for mistake in reason.errors()[:MOST_SHOWN]))


def _problem(status: int, detail: str, headers: Any = None) -> Response:
    told = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return JSONResponse(told.model_dump(), status, headers, MEDIA_TYPE)


def _sentence(mistake: dict[str, Any]) -> str:
    """Where it is and what is wrong, without what was sent."""
    where = ".".join(str(part) for part in mistake["loc"])
    more = mistake.get("ctx", {}).get("error", "") if mistake["type"] == "json_invalid" else ""
    return f"{where}: {mistake['msg']}{': ' if more else ''}{more}"[:300]
