"""The JSON API: the same abilities as the pages, for the same session. A change needs the header `X-CSRF-Token`."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from common.store import Connection
from settings_web.parts import Changing, HasParts, Looking
from settings_web.rows import Row, State, rows
from settings_web.sync_settings import Wanted


class Problem(BaseModel):
    """RFC 9457; `title` is a short reason to branch on, `detail` a sentence."""

    type: str
    title: str
    status: int
    detail: str


_PROBLEM: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, description in (
        (401, "Nobody is signed in."),
        (403, "The X-CSRF-Token is wrong, or only an admin may do this."),
        (404, "No such thing in this organization."),
        (409, "The account has to be reconnected first."),
        (422, "Something sent can't be used."),
        (503, "Microsoft or a part of Attendara is away; try again."),
    )
}

routes = APIRouter(prefix="/api/v1", tags=["settings"], responses=_PROBLEM)

CalendarId = Annotated[str, Path(pattern="^cal_", examples=["cal_01k9z3v5x8q2w4e6r7t8y9a0bc"])]
ConnectionId = Annotated[str, Path(pattern="^con_", examples=["con_01k9z3v5x8q2w4e6r7t8y9a0bc"])]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SessionOut(BaseModel):
    user: str
    name: str
    organization: str
    organization_name: str
    may_change: bool
    csrf: str = Field(description="To be sent as X-CSRF-Token with every change.")


class CalendarOut(BaseModel):
    id: str
    name: str
    connection: str
    state: State
    reason: str | None
    last_sync_at: datetime | None
    appointments: int


class CalendarsIn(_Body):
    connection: str
    graph_ids: list[str] = Field(min_length=1, max_length=200)


class AddedOut(BaseModel):
    added: list[str] = Field(description="Ids of the new calendars; one that was monitored already is left out.")


class ConnectionOut(BaseModel):
    id: str
    name: str
    username: str
    state: Literal["active", "needs-reconnect", "needs-admin-consent", "removing"]
    reason: str | None
    since: datetime


class LabelIn(_Body):
    name: str


class OfferedOut(BaseModel):
    graph_id: str
    name: str
    owner: str | None
    monitored: bool
    may_be_added: bool
    reason: str | None = Field(description="Why it can't be added.")


class SyncSettingsOut(Wanted):
    pass


@routes.get("/session")
async def session(session: Looking) -> SessionOut:
    who = session.who
    return SessionOut(
        user=who.user,
        name=who.name,
        organization=who.organization,
        organization_name=who.organization_name,
        may_change=who.may_change,
        csrf=session.csrf,
    )


@routes.get("/calendars")
async def calendars(parts: HasParts, session: Looking) -> list[CalendarOut]:
    documents = await parts.calendars.all(session.who.organization)
    connections = await parts.connections.all(session.who.organization)
    found = await rows(parts.calendars.database, documents, connections, parts.calendars.clock())
    return [_calendar(row) for row in found]


@routes.post("/calendars", status_code=201)
async def add_calendars(parts: HasParts, session: Changing, body: CalendarsIn) -> AddedOut:
    connection = await parts.connections.one(session.who.organization, body.connection)
    added = await parts.calendars.add(connection, body.graph_ids)
    return AddedOut(added=[calendar.id for calendar in added])


@routes.delete("/calendars/{calendar}", status_code=202)
async def remove_calendar(parts: HasParts, session: Changing, calendar: CalendarId, remove_labels: bool = False) -> None:
    await parts.calendars.remove(session.who.organization, calendar, remove_labels=remove_labels)


@routes.post("/calendars/{calendar}/sync", status_code=202)
async def sync_calendar(parts: HasParts, session: Changing, calendar: CalendarId) -> None:
    await parts.calendars.request_sync(session.who.organization, calendar)


@routes.get("/connections")
async def connections(parts: HasParts, session: Looking) -> list[ConnectionOut]:
    return [_connection(one) for one in await parts.connections.all(session.who.organization)]


@routes.patch("/connections/{connection}")
async def rename_connection(parts: HasParts, session: Changing, connection: ConnectionId, body: LabelIn) -> ConnectionOut:
    await parts.connections.rename(session.who.organization, connection, body.name, session.who.user)
    return _connection(await parts.connections.one(session.who.organization, connection))


@routes.delete("/connections/{connection}", status_code=202)
async def remove_connection(parts: HasParts, session: Changing, connection: ConnectionId, remove_labels: bool = False) -> None:
    found = await parts.connections.one(session.who.organization, connection)
    await parts.calendars.before_removal_of(found, remove_labels=remove_labels)
    await parts.connections.remove(session.who.organization, connection, session.who.user)


@routes.get("/connections/{connection}/calendars")
async def offered_calendars(parts: HasParts, session: Looking, connection: ConnectionId) -> list[OfferedOut]:
    found = await parts.connections.one(session.who.organization, connection)
    return [
        OfferedOut(
            graph_id=one.graph_id,
            name=one.name,
            owner=one.owner,
            monitored=one.monitored,
            may_be_added=one.may_be_added,
            reason=one.reason,
        )
        for one in await parts.calendars.offered(found)
    ]


@routes.get("/sync-settings")
async def sync_settings(parts: HasParts, session: Looking) -> SyncSettingsOut:
    return SyncSettingsOut.model_validate(msgspec.to_builtins(await parts.sync_settings.read(session.who.organization)))


@routes.put("/sync-settings")
async def save_sync_settings(parts: HasParts, session: Changing, body: Wanted) -> SyncSettingsOut:
    saved = await parts.sync_settings.save(session.who.organization, body)
    return SyncSettingsOut.model_validate(msgspec.to_builtins(saved))


def _calendar(row: Row) -> CalendarOut:
    return CalendarOut(
        id=row.id,
        name=row.name,
        connection=row.connection,
        state=row.state,
        reason=row.reason,
        last_sync_at=row.last_sync_at,
        appointments=row.appointments,
    )


def _connection(one: Connection) -> ConnectionOut:
    return ConnectionOut.model_validate(msgspec.to_builtins(one) | {"id": one.id, "since": one.since})
