"""The way to Microsoft and back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from common.errors import AttendaraError, NotFound, Rejected
from common.store import Connection
from settings_web.auth_door import Finished
from settings_web.connect import ADD_CALENDAR, PROVIDERS, own_page
from settings_web.endings import manner_of
from settings_web.pages.again import again
from settings_web.parts import Admin, Changing, HasParts, Parts, SignInNeeded, session
from settings_web.sessions import Notice, Session
from settings_web.view import sentence_of

FLOW_COOKIE = "attendara_connect"
FLOW_SECONDS = 600
ENDED = "/connect/microsoft/ended"

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
        finished = Finished("unfinished", message=sentence_of(error), return_to=ADD_CALENDAR)
    if finished.outcome == "accepted":
        response = await _accepted(parts, session, finished)
    else:
        await parts.endings.keep(session, finished)
        response = RedirectResponse(ENDED, 303)
    response.delete_cookie(FLOW_COOKIE, path="/connect")
    return response


@routes.get(ENDED)
async def ended(request: Request, parts: HasParts, session: Admin) -> Response:
    """What became of this session's last way to Microsoft, if it ended otherwise than well."""
    finished = await parts.endings.last(session)
    if finished is None:
        return RedirectResponse(ADD_CALENDAR, 303)
    connection = await _still_there(parts, session, finished.connection)
    back_to = own_page(finished.return_to, PROVIDERS if connection else ADD_CALENDAR)
    return await parts.view.page(
        request,
        session,
        "connect_ended.html",
        finished=finished,
        manner=manner_of(finished),
        connection=connection,
        back_to=back_to,
    )


@routes.get("/connect/microsoft/admin-return")
async def admin_return(request: Request, parts: HasParts) -> Response:
    """Where Microsoft sends an administrator: most likely nobody of ours. Nothing here is believed, kept or repeated."""
    query = request.query_params
    approved = "yes" if query.get("admin_consent", "").casefold() == "true" else "nothing"
    return parts.view.bare(request, "admin_return.html", said="no" if "error" in query else approved)


async def _accepted(parts: Parts, session: Session, finished: Finished) -> Response:
    """A new account is given its label; one that was connected already only has its calendars to be chosen."""
    connection = await parts.connections.one(session.who.organization, finished.connection or "")
    if own_page(finished.return_to) == PROVIDERS:
        notice = Notice(kind="success", text=f"{connection.name} is connected again.")
        return await again(parts, session, PROVIDERS, notice)
    if finished.existing:
        text = f"{connection.username} is connected already, as “{connection.name}”, and its sign-in is fresh again."
        notice = Notice(kind="info", text=text, next_step="Choose its calendars below.")
        return await again(parts, session, f"{ADD_CALENDAR}/{connection.id}", notice)
    notice = Notice(kind="success", text=finished.message)
    return await again(parts, session, f"{PROVIDERS}/{connection.id}/label", notice)


async def _still_there(parts: Parts, session: Session, connection: str | None) -> Connection | None:
    """None also for one that is being removed: it can't be reconnected."""
    try:
        found = await parts.connections.one(session.who.organization, connection or "")
    except NotFound:
        return None
    return found if found.state != "removing" else None


async def _to_microsoft(
    request: Request, parts: Parts, session: Session, return_to: str, connection: str | None = None
) -> Response:
    """By a page of our own: a redirect would follow a form, and the policy lets forms go to our own pages only."""
    try:
        begun = await parts.connecting.begin(session, return_to, connection)
    except AttendaraError as error:
        await parts.sessions.tell(session, Notice(kind="danger", text=sentence_of(error)))
        return RedirectResponse(return_to, 303)
    response = parts.view.bare(request, "to_microsoft.html", url=begun.url)
    secure = not parts.settings.local
    response.set_cookie(FLOW_COOKIE, begun.cookie, FLOW_SECONDS, path="/connect", httponly=True, secure=secure, samesite="lax")
    return response
