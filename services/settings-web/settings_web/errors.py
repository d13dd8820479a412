"""What a browser or a caller is answered when something goes wrong: our own pages, or problem details for the API."""

from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from common.errors import AttendaraError, Rejected, Throttled, Transient
from common.store import AWAY
from common.web import problem, status_of
from settings_web.connect import own_page
from settings_web.parts import Parts, SignInNeeded
from settings_web.view import HEADERS, is_fragment, sentence_of

log = structlog.get_logger()

TITLES = {401: "Sign in", 403: "Not allowed", 404: "Not found", 405: "Not found", 409: "Not now", 422: "Please check"}


def answer_errors(app: FastAPI) -> None:
    for kind in (AttendaraError, HTTPException, RequestValidationError, UnicodeEncodeError, Exception, *AWAY):
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    if isinstance(error, SignInNeeded) and not _for_programs(request):
        return _to_sign_in(request)
    ours = _as_ours(error)
    status = 500 if ours is None else status_of(ours)
    reason = "internal-error" if ours is None else ours.reason
    sentence = "Something went wrong on our side. It has been noted." if ours is None else sentence_of(ours)
    if status >= 500:
        log.warning("request failed", path=request.url.path, reason=reason, error=repr(error)[:300])
    retry = {"Retry-After": str(max(1, round(ours.retry_after)))} if isinstance(ours, Throttled) else {}
    if _for_programs(request):
        return problem(status, reason, sentence, HEADERS | retry)
    parts: Parts = request.app.state.parts
    context = {
        "title": TITLES.get(status, "Something went wrong"),
        "sentence": sentence,
        "again": status >= 500 and request.method == "GET",
        "leads": "Sign in again" if reason.startswith(("signin-", "no-")) else "Go to Calendars",
    }
    response = parts.view.bare(request, "error.html", status=status, **context)
    response.headers.update(retry)
    return response


def _as_ours(error: Exception) -> AttendaraError | None:
    match error:
        case AttendaraError():
            return error
        case HTTPException():
            reason = "not-found" if error.status_code in (404, 405) else "refused"
            return Rejected("This can’t be done here.", status=error.status_code, reason=reason)
        case RequestValidationError():
            wrong = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors())
            return Rejected(wrong[:500], status=422, reason="malformed")
        case UnicodeEncodeError():  # JSON can spell half a character, which nothing stores
            return Rejected("There is a character that can’t be used.", status=422, reason="malformed")
        case _ if isinstance(error, AWAY):
            return Transient(type(error).__name__, reason="store-away")
    return None


def _to_sign_in(request: Request) -> Response:
    """htmx follows a redirect by fetching it; it is told to have the whole page go there instead."""
    if is_fragment(request):
        return Response(status_code=401, headers={"HX-Redirect": "/"})
    wanted = own_page(request.url.path, "") if request.method == "GET" else ""
    return RedirectResponse(f"/signin?next={quote(wanted)}" if wanted else "/signin", 303, {"Cache-Control": "no-store"})


def _for_programs(request: Request) -> bool:
    return request.url.path.startswith(("/api/", "/internal/"))
