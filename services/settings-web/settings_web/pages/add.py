"""Settings → Add calendar: choose an account, then its calendars."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from common.errors import AttendaraError, Rejected
from settings_web.connect import ADD_CALENDAR, CALENDARS
from settings_web.pages.again import again
from settings_web.parts import Admin, Changing, HasParts, Parts
from settings_web.sessions import Notice, Session
from settings_web.view import sentence_of

routes = APIRouter(prefix=ADD_CALENDAR, include_in_schema=False)


@routes.get("")
async def choose_account(request: Request, parts: HasParts, session: Admin) -> Response:
    connections = await parts.connections.all(session.who.organization)
    return await parts.view.page(request, session, "add.html", connections=connections)


@routes.get("/new")
async def choose_provider(request: Request, parts: HasParts, session: Admin) -> Response:
    return await parts.view.dialog(request, session, "connect_new.html")


@routes.get("/{connection}")
async def choose_calendars(request: Request, parts: HasParts, session: Admin, connection: str) -> Response:
    return await _offer(request, parts, session, connection)


@routes.post("/{connection}")
async def add(
    request: Request,
    parts: HasParts,
    session: Changing,
    connection: str,
    calendar: Annotated[list[str] | None, Form()] = None,
) -> Response:
    found = await parts.connections.one(session.who.organization, connection)
    try:
        added = await parts.calendars.add(found, calendar or [])
    except AttendaraError as error:
        return await _offer(request, parts, session, connection, error)
    many = "The calendar is" if len(added) == 1 else f"{len(added)} calendars are"
    text = f"{many} monitored now. The first sync has begun." if added else "These calendars were monitored already."
    return await again(parts, session, CALENDARS, Notice(kind="success", text=text))


async def _offer(
    request: Request, parts: Parts, session: Session, connection: str, refused: AttendaraError | None = None
) -> Response:
    """The account's calendars; where Microsoft or auth is away, a sentence and a way to try again."""
    found = await parts.connections.one(session.who.organization, connection)
    try:
        calendars = await parts.calendars.offered(found)
        away = None
    except AttendaraError as error:
        calendars, away = [], sentence_of(error)
    status = (refused.status if isinstance(refused, Rejected) else 503) if refused else 503 if away else 200
    return await parts.view.page(
        request,
        session,
        "choose_calendars.html",
        status=status,
        connection=found,
        calendars=calendars,
        names=await parts.sync_settings.read(session.who.organization),
        away=away,
        refused=sentence_of(refused) if refused else None,
    )
