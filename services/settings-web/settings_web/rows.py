"""What a calendar's row says: read from the documents of three services, put into words of the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from common import store
from common.store import Connection, Database, Document, Subscription, SyncState
from settings_web.reasons import STATES, why

State = Literal["syncing", "up-to-date", "catching-up", "delayed", "needs-reconnect", "needs-admin-consent", "removing"]

SILENCE = timedelta(hours=1)
"""A calendar has a round every quarter of an hour; after this long without one something holds it up."""
ASKED = timedelta(seconds=30)
"""How long an asked-for round is shown as under way when none has ended yet."""
SKEW = timedelta(seconds=10)
"""By which the clocks of two services may differ; nobody can lose and mend a connection within that time."""
DEAD = ("needs-reconnect", "needs-admin-consent")
"""Also what rounds say that found no token."""


@dataclass(frozen=True)
class Row:
    """One calendar of the page and of the API; `reason` explains a state that is not well.

    `behind`: its account was connected again, and what was missed meanwhile is not made up for yet.
    """

    id: str
    name: str
    connection: str
    label: str
    account: str
    state: State
    state_text: str
    reason: str | None
    last_sync_at: datetime | None
    appointments: int
    behind: bool

    @property
    def busy(self) -> bool:
        return self.state in ("syncing", "catching-up", "removing")


async def rows(database: Database, calendars: Sequence[Document], connections: Sequence[Connection], now: datetime) -> list[Row]:
    ids = [calendar["_id"] for calendar in calendars]
    states = {
        document["_id"]: store.read(SyncState, document) async for document in database.sync_states.find({"_id": {"$in": ids}})
    }
    pushes = {
        document["calendar"]: store.read(Subscription, document)
        async for document in database.subscriptions.find({"calendar": {"$in": ids}})
    }
    known = {connection.id: connection for connection in connections}
    return [row(one, known.get(one["connection"]), states.get(one["_id"]), pushes.get(one["_id"]), now) for one in calendars]


def row(
    calendar: Document, connection: Connection | None, sync: SyncState | None, subscription: Subscription | None, now: datetime
) -> Row:
    missing = _missing(calendar, connection, sync, subscription) if connection and connection.state == "active" else None
    state, text, reason = _state(connection, sync, missing, calendar.get("sync_asked_at"), now)
    return Row(
        id=calendar["_id"],
        name=calendar["name"],
        connection=calendar["connection"],
        label=connection.name if connection else "",
        account=connection.username if connection else "",
        state=state,
        state_text=text,
        reason=reason,
        last_sync_at=sync.last_round_at if sync else None,
        appointments=sync.appointments if sync else 0,
        behind=missing is not None,
    )


def _state(
    connection: Connection | None, sync: SyncState | None, missing: str | None, asked_at: datetime | None, now: datetime
) -> tuple[State, str, str | None]:
    if connection is None or connection.state in ("removing", "removed"):
        return "removing", "Removing", "The account is being removed."
    if connection.state in ("needs-reconnect", "needs-admin-consent"):
        return connection.state, STATES[connection.state], why(connection)[0]
    usual = _sync_state(sync, asked_at, now)
    if missing and sync and sync.state != "first":
        fresh = now - connection.since < SILENCE and sync.last_error in (None, *DEAD)
        if fresh or usual[0] != "delayed":
            return "catching-up", "Catching up…", f"The account is connected again. {missing}"
    return usual


def _missing(calendar: Document, connection: Connection, sync: SyncState | None, subscription: Subscription | None) -> str | None:
    """What a calendar lacks since its account was connected again: a round, or Graph's word that it tells us of changes."""
    since = connection.since - SKEW
    if calendar["created_at"] >= since:
        return None
    if sync is None or sync.last_round_at is None or sync.last_round_at < since:
        return "What changed meanwhile is being fetched."
    if subscription is None or subscription.checked_at is None or subscription.checked_at < since:
        return "Outlook is being asked to tell of changes again."
    return None


def _sync_state(sync: SyncState | None, asked_at: datetime | None, now: datetime) -> tuple[State, str, str | None]:
    if sync and sync.last_error:
        return "delayed", "Delayed", f"The last try did not work ({sync.last_error[:120]}). It is tried again by itself."
    if sync is None or sync.state == "first" or sync.progress:
        return "syncing", _progress(sync), None
    last = sync.last_round_at
    if asked_at and now - asked_at < ASKED and (last is None or last < asked_at):
        return "syncing", "Syncing…", None
    if last is None or now - last > SILENCE:
        return "delayed", "Delayed", "Outlook was not looked at for more than an hour. It is tried again by itself."
    return "up-to-date", "Up to date", None


def _progress(sync: SyncState | None) -> str:
    events = sync.progress.events if sync and sync.progress else 0
    return f"Syncing {events:,} {'event' if events == 1 else 'events'}…" if events else "Syncing…"


def ago(moment: datetime, now: datetime) -> str:
    """“just now”, “3 minutes ago”, “yesterday” and so on."""
    seconds = max(0, int((now - moment).total_seconds()))
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            amount = seconds // size
            return f"{amount} {name}{'' if amount == 1 else 's'} ago"
    return "just now" if seconds < 10 else f"{seconds // 10 * 10} seconds ago"


def exact(moment: datetime) -> str:
    return f"{moment:%-d %B %Y, %H:%M:%S} UTC"
