"""Suspects: appointments of which a round no longer saw the event. A removal is never declared on a tombstone alone.

Each suspect's event is asked for. 404 twice, seconds apart, is gone. 200 is looked up in a plain listing of the
calendar over the times that the answer gave: listed means it is still here and is stored like any item; not listed
means that it left this calendar. A tombstone may name an event that merely left
the window: https://learn.microsoft.com/graph/delta-query-events.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import msgspec
import structlog
from pymongo.asynchronous.cursor import AsyncCursor

from common import telemetry
from common.errors import AttendaraError, NotFound, Throttled
from common.graph import Event, Graph, Mailbox
from common.graph.failures import failure_of
from common.graph.shapes import BatchAnswer
from common.marks import Claim
from common.store import Connection, Database, Document, read
from sync_worker.appointments import Appointments, Place
from sync_worker.states import States

log = structlog.get_logger()

AT_ONCE = 100
APART = timedelta(seconds=2)
"""How long after the first 404 the second is asked for: right after a change Graph may answer from an older copy."""

LOOKED_AT = timedelta(days=2)
"""Of a longer event only its beginning is listed: Graph lists five years at most, and two days hold midnight of any zone."""

Fate = Literal["deleted", "moved-away"]


@dataclass
class Checks:
    database: Database
    graph: Graph
    states: States
    appointments: Appointments

    async def run(self, claim: Claim, now: datetime) -> datetime | None:
        """Looks after a calendar's suspects; returns when those that were missed once are due again."""
        state = claim.document
        if state["state"] == "closed":
            return None
        suspects = [document async for document in self._suspects(state["_id"], now)]
        if not suspects:
            return await self._next(state["_id"], now)
        document = await self.database.connections.find_one({"_id": state["connection"], "organization": state["organization"]})
        if document is None:
            raise NotFound("the calendar's connection is gone")
        mailbox = self.graph.mailbox(state["connection"], read(Connection, document).mailbox, bulk=True)
        number = await self.states.draw_number(state["connection"])
        answers = await mailbox.events([suspect["event_id"] for suspect in suspects])
        place = Place(state["organization"], state["connection"], state["_id"])
        with telemetry.span("check suspects", attributes={"suspects": len(suspects)}):
            await self._judge(mailbox, place, state["graph_id"], suspects, answers, number, now)
        await self.states.update(place.calendar, {"$set": {"appointments": await self.appointments.count(place.calendar)}})
        return await self._next(place.calendar, now)

    def _suspects(self, calendar: str, now: datetime) -> AsyncCursor[Document]:
        due = {"$or": [{"suspect.missed_at": {"$exists": False}}, {"suspect.missed_at": {"$lte": now - APART}}]}
        query = {"calendar": calendar, "suspect": {"$exists": True}, "removed": None, **due}
        return self.appointments.collection.find(query, {"event_id": 1, "suspect": 1, "round": 1}).limit(AT_ONCE)

    async def _next(self, calendar: str, now: datetime) -> datetime | None:
        query = {"calendar": calendar, "suspect": {"$exists": True}, "removed": None}
        left = await self.appointments.collection.find_one(query, {"suspect": 1}, sort=[("suspect.missed_at", 1)])
        if left is None:
            return None
        missed: datetime | None = left["suspect"].get("missed_at")
        return missed + APART if missed else now

    async def _judge(
        self,
        mailbox: Mailbox,
        place: Place,
        graph_calendar: str,
        suspects: Sequence[Document],
        answers: Sequence[BatchAnswer],
        number: int,
        now: datetime,
    ) -> None:
        """Each answer for itself: what one event's answer lacks is told at the end, and asked for again later."""
        fates: dict[str, Fate] = {}
        here: list[Event] = []
        failures: list[AttendaraError] = []
        for suspect, answer in zip(suspects, answers, strict=True):
            if answer.status == 404:
                if await self._missed(suspect, now):
                    fates[suspect["_id"]] = "deleted"
            elif answer.status == 200:
                event = msgspec.json.decode(answer.body, type=Event)
                listed = await _listed(mailbox, graph_calendar, event)
                if listed:
                    here.append(listed)
                else:
                    fates[suspect["_id"]] = "moved-away"
            else:
                failures.append(failure_of(answer.status, answer.headers or {}, bytes(answer.body)))
        trace = dict(telemetry.carrier())
        await self.appointments.store(place, here, number, now, trace)
        for fate in ("deleted", "moved-away"):
            ids = [appointment for appointment, its in fates.items() if its == fate]
            still = {"_id": {"$in": ids}, "calendar": place.calendar, "round": {"$lte": number}, "suspect": {"$exists": True}}
            if ids:
                gone = await self.appointments.remove(still, fate, now, trace)
                log.info("appointments removed", calendar=place.calendar, reason=fate, count=gone)
        if failures:
            raise max(failures, key=lambda failure: failure.retry_after if isinstance(failure, Throttled) else 0)

    async def _missed(self, suspect: Document, now: datetime) -> bool:
        """True at the second 404; the first one is only noted."""
        if suspect["suspect"]["misses"]:
            return True
        note = {"$set": {"suspect": {"misses": 1, "missed_at": now}}}
        await self.appointments.collection.update_one({"_id": suspect["_id"], "suspect": {"$exists": True}}, note)
        return False


async def _listed(mailbox: Mailbox, graph_calendar: str, event: Event) -> Event | None:
    """The event as the calendar's own listing has it; a master is never listed."""
    if event.start is None or event.end is None or event.type == "seriesMaster":
        return None
    start = event.start.instant
    end = min(event.end.instant + timedelta(minutes=1), start + LOOKED_AT)
    async for item in mailbox.calendar_view(graph_calendar, start, end):
        if item.id == event.id:
            return item
    return None
