"""Settings → Manage providers: the connected accounts, how they stand, their history, their labels, and their removal."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from common.errors import AttendaraError, Rejected, Transient
from settings_web.accounts import accounts, is_personal
from settings_web.connect import ADD_CALENDAR, PROVIDERS
from settings_web.history import people, story
from settings_web.pages.again import again
from settings_web.pages.table import Table, refreshed, table
from settings_web.parts import Admin, Changing, HasParts, Looking, Parts
from settings_web.sessions import Notice, Session
from settings_web.view import sentence_of

routes = APIRouter(prefix=PROVIDERS, include_in_schema=False)


@routes.get("")
async def page(request: Request, parts: HasParts, session: Looking) -> Response:
    removed = await parts.connections.removed(session.who.organization)
    found = await _table(request, parts, session)
    return await parts.view.page(request, session, "providers.html", table=found, removed=removed)


@routes.get("/rows")
async def rows_again(request: Request, parts: HasParts, session: Looking, seen: str = "") -> Response:
    return refreshed(parts, request, await _table(request, parts, session), seen)


@routes.get("/{connection}/history")
async def history(request: Request, parts: HasParts, session: Looking, connection: str) -> Response:
    found, entries = await parts.connections.history(session.who.organization, connection)
    names = await parts.sessions.names(session.who.organization, people(entries))
    lines = story(entries, names)
    return await parts.view.dialog(request, session, "history.html", connection=found, lines=lines, personal=is_personal(found))


@routes.get("/{connection}/approval")
async def ask_for_approval(request: Request, parts: HasParts, session: Admin, connection: str) -> Response:
    found = await parts.connections.one(session.who.organization, connection)
    url = await parts.connections.admin_consent_url(session.who.organization, connection)
    return await parts.view.dialog(request, session, "approval.html", connection=found, url=url)


@routes.get("/{connection}/categories")
async def explain_categories(request: Request, parts: HasParts, session: Looking, connection: str) -> Response:
    """How to add them by hand, for an account through which we may not."""
    found = await parts.connections.one(session.who.organization, connection)
    names = await parts.sync_settings.read(session.who.organization)
    return await parts.view.dialog(request, session, "categories.html", connection=found, names=names)


@routes.get("/{connection}/label")
async def ask_label(request: Request, parts: HasParts, session: Admin, connection: str) -> Response:
    """After a connect; `/{connection}/rename` is the same for an account that has its label."""
    found = await parts.connections.one(session.who.organization, connection)
    return await parts.view.dialog(request, session, "label.html", connection=found, label="", refused=None, fresh=True)


@routes.get("/{connection}/rename")
async def ask_new_label(request: Request, parts: HasParts, session: Admin, connection: str) -> Response:
    found = await parts.connections.one(session.who.organization, connection)
    return await parts.view.dialog(request, session, "label.html", connection=found, label=found.name, refused=None, fresh=False)


@routes.post("/{connection}/label")
async def save_label(
    request: Request,
    parts: HasParts,
    session: Changing,
    connection: str,
    label: Annotated[str, Form()] = "",
    fresh: Annotated[bool, Form()] = False,
) -> Response:
    found = await parts.connections.one(session.who.organization, connection)
    try:
        saved = await parts.connections.rename(session.who.organization, connection, label, session.who.user)
    except (Rejected, Transient) as error:
        status = error.status if isinstance(error, Rejected) else 503
        return await parts.view.dialog(
            request, session, "label.html", status=status, connection=found, label=label, refused=sentence_of(error), fresh=fresh
        )
    page, text = (
        (f"{ADD_CALENDAR}/{connection}", f"{saved} is connected. Choose its calendars.") if fresh else (PROVIDERS, "Saved.")
    )
    return await again(parts, session, page, Notice(kind="success", text=text))


@routes.get("/{connection}/remove")
async def confirm_removal(request: Request, parts: HasParts, session: Admin, connection: str) -> Response:
    found = await parts.connections.one(session.who.organization, connection)
    calendars = [row for row in await parts.calendars.rows(session.who.organization, [found]) if row.connection == connection]
    return await parts.view.dialog(
        request, session, "remove_connection.html", connection=found, calendars=calendars, personal=is_personal(found)
    )


@routes.post("/{connection}/remove")
async def remove(parts: HasParts, session: Changing, connection: str, remove_labels: Annotated[bool, Form()] = False) -> Response:
    found = await parts.connections.one(session.who.organization, connection)
    try:
        await parts.calendars.before_removal_of(found, remove_labels=remove_labels)
        await parts.connections.remove(session.who.organization, connection, session.who.user)
    except AttendaraError as error:
        return await again(parts, session, PROVIDERS, Notice(kind="danger", text=sentence_of(error)))
    notice = Notice(
        kind="success",
        text=f"{found.name} is being removed, with its calendars and appointments.",
        next_step="Microsoft still remembers that you allowed Attendara. The account’s history says how to take that back.",
    )
    return await again(parts, session, PROVIDERS, notice)


async def _table(request: Request, parts: Parts, session: Session) -> Table:
    connections = await parts.connections.all(session.who.organization)
    found = accounts(connections, await parts.calendars.rows(session.who.organization, connections))
    return table(parts, request, session, PROVIDERS, "providers_rows.html", [one.busy for one in found], accounts=found)
