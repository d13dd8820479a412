"""The way to Microsoft and back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from common.errors import AttendaraError, Rejected
from settings_web.connect import ADD_CALENDAR, PROVIDERS, notice_of, own_page
from settings_web.pages.again import again
from settings_web.parts import Changing, HasParts, Parts, SignInNeeded, session
from settings_web.sessions import Notice, Session
from settings_web.view import sentence_of

FLOW_COOKIE = "attendara_connect"
FLOW_SECONDS = 600

routes = APIRouter(include_in_schema=False)


@routes.post("/connect/microsoft")
async def connect(request: Request, parts: HasParts, session: Changing) -> Response:
    return await _to_microsoft(request, parts, session, ADD_CALENDAR)


@routes.post("/connect/microsoft/{connection}")
async def reconnect(request: Request, parts: HasParts, session: Changing, connection: str) -> Response:
    found = await parts.connections.one(session.who.organization, connection)
    return await _to_microsoft(request, parts, session, PROVIDERS, found.id)


async def _returning(request: Request) -> Session:
    """Sent to the sign-in page, a person would never read what became of their way to Microsoft."""
    try:
        return await session(request)
    except SignInNeeded:
        sentence = "You are no longer signed in to Attendara, so no Microsoft account was connected. Sign in, and begin again."
        raise Rejected(sentence, status=401, reason="signin-lost") from None


@routes.get("/connect/microsoft/return")
async def back(request: Request, parts: HasParts, session: Annotated[Session, Depends(_returning)]) -> Response:
    try:
        finished = await parts.connecting.finish(session, request.cookies.get(FLOW_COOKIE), dict(request.query_params))
    except AttendaraError as error:
        response = await again(parts, session, ADD_CALENDAR, _away(error))
    else:
        page, notice = own_page(finished.return_to), notice_of(finished)
        if finished.outcome == "accepted" and page == ADD_CALENDAR and finished.connection:
            page = f"{ADD_CALENDAR}/{finished.connection}" if finished.existing else f"{PROVIDERS}/{finished.connection}/label"
        response = await again(parts, session, page, notice)
    response.delete_cookie(FLOW_COOKIE, path="/connect")
    return response


async def _to_microsoft(
    request: Request, parts: Parts, session: Session, return_to: str, connection: str | None = None
) -> Response:
    """By a page of our own: a redirect would follow a form, and the policy lets forms go to our own pages only."""
    try:
        begun = await parts.connecting.begin(session, return_to, connection)
    except AttendaraError as error:
        await parts.sessions.tell(session, _away(error))
        return RedirectResponse(return_to, 303)
    response = parts.view.bare(request, "to_microsoft.html", url=begun.url)
    secure = not parts.settings.local
    response.set_cookie(FLOW_COOKIE, begun.cookie, FLOW_SECONDS, path="/connect", httponly=True, secure=secure, samesite="lax")
    return response


def _away(error: AttendaraError) -> Notice:
    return Notice(kind="danger", text=sentence_of(error))
