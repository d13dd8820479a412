"""Settings → Calendars: the list, which refreshes itself, and what is done to a calendar."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from settings_web.connect import CALENDARS
from settings_web.pages.again import again
from settings_web.pages.table import Table, refreshed, table
from settings_web.parts import Admin, Changing, HasParts, Looking, Parts
from settings_web.sessions import Notice, Session

routes = APIRouter(prefix=CALENDARS, include_in_schema=False)


@routes.get("")
async def page(request: Request, parts: HasParts, session: Looking) -> Response:
    return await parts.view.page(request, session, "calendars.html", table=await _table(request, parts, session))


@routes.get("/rows")
async def rows_again(request: Request, parts: HasParts, session: Looking, seen: str = "") -> Response:
    return refreshed(parts, request, await _table(request, parts, session), seen)


@routes.post("/{calendar}/sync")
async def sync(request: Request, parts: HasParts, session: Changing, calendar: str) -> Response:
    await parts.calendars.request_sync(session.who.organization, calendar)
    if request.headers.get("hx-request"):
        return refreshed(parts, request, await _table(request, parts, session))
    return RedirectResponse(CALENDARS, 303)


@routes.get("/{calendar}/remove")
async def confirm_removal(request: Request, parts: HasParts, session: Admin, calendar: str) -> Response:
    found = await parts.calendars.one(session.who.organization, calendar)
    return await parts.view.dialog(request, session, "remove_calendar.html", calendar=found)


@routes.post("/{calendar}/remove")
async def remove(parts: HasParts, session: Changing, calendar: str, remove_labels: Annotated[bool, Form()] = False) -> Response:
    found = await parts.calendars.one(session.who.organization, calendar)
    await parts.calendars.remove(session.who.organization, calendar, remove_labels=remove_labels)
    notice = Notice(kind="success", text=f"{found.name} is no longer monitored. Its appointments are being removed.")
    return await again(parts, session, CALENDARS, notice)


async def _table(request: Request, parts: Parts, session: Session) -> Table:
    organization = session.who.organization
    found = await parts.calendars.rows(organization, await parts.connections.all(organization))
    return table(parts, request, session, CALENDARS, "calendars_rows.html", [row.busy for row in found], rows=found)
