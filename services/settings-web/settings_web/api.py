"""The JSON API: the same abilities as the pages, for the same session. A change needs the header `X-CSRF-Token`."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from common.store import Connection
from settings_web.accounts import Account, AccountState, accounts
from settings_web.history import people, story
from settings_web.parts import Changing, HasParts, Looking, Parts
from settings_web.rows import Row, State
from settings_web.sessions import Session
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
    """`reason` and `next_step` are sentences for people, empty while all is well."""

    id: str
    name: str
    username: str
    state: AccountState
    reason: str
    next_step: str
    since: datetime
    may_write_categories: bool = Field(description="Without it the two categories have no colour until people add them in Outlook.")


class HappenedOut(BaseModel):
    """One thing that became of a connection: `text` is a sentence for people."""

    at: datetime
    text: str
    who: str | None = Field(description="A person’s name or id, Microsoft, or Attendara.")


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
    organization = session.who.organization
    return [_calendar(row) for row in await parts.calendars.rows(organization, await parts.connections.all(organization))]


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
    return await _connections(parts, session, await parts.connections.all(session.who.organization))


@routes.patch("/connections/{connection}")
async def rename_connection(parts: HasParts, session: Changing, connection: ConnectionId, body: LabelIn) -> ConnectionOut:
    await parts.connections.rename(session.who.organization, connection, body.name, session.who.user)
    renamed = await parts.connections.one(session.who.organization, connection)
    return (await _connections(parts, session, [renamed]))[0]


@routes.get("/connections/{connection}/history")
async def history(parts: HasParts, session: Looking, connection: ConnectionId) -> list[HappenedOut]:
    """The newest first; also of a connection that was removed."""
    _, entries = await parts.connections.history(session.who.organization, connection)
    names = await parts.sessions.names(session.who.organization, people(entries))
    return [HappenedOut(at=line.at, text=line.text, who=line.who) for line in story(entries, names)]


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


async def _connections(parts: Parts, session: Session, found: list[Connection]) -> list[ConnectionOut]:
    return [_connection(one) for one in accounts(found, await parts.calendars.rows(session.who.organization, found))]


def _connection(one: Account) -> ConnectionOut:
    return ConnectionOut(
        id=one.connection.id,
        name=one.connection.name,
        username=one.connection.username,
        state=one.state,
        reason=one.reason,
        next_step=one.next_step,
        since=one.since,
        may_write_categories=one.connection.may_write_categories,
    )
