"""The clocks of rounds: a safety round for every calendar, and each night a new chain over the window of that day.

Push is never trusted alone. Both are jittered per calendar, so that a fleet doesn't call Graph in step.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import structlog

from common import telemetry
from common.errors import Rejected
from common.marks import Marks
from common.messages import CalendarChanged
from common.runner import Clock
from common.store import Calendar, Database, Document, read
from common.taking import Dropped
from sync_worker.handlers import Handlers
from sync_worker.states import OPEN, States

log = structlog.get_logger()

NIGHTLY = timedelta(days=1)


@dataclass
class Schedule:
    database: Database
    states: States
    handlers: Handlers
    safety: timedelta
    clock: Clock

    async def turn(self) -> None:
        """Marks every calendar whose safety or nightly round is due."""
        now = self.clock()
        await self._mark("safety_at", self.states.marks.delta, self.safety, now)
        await self._mark("nightly_at", self.states.marks.full, NIGHTLY, now)

    async def _mark(self, clock: str, marks: Marks, period: timedelta, now: datetime) -> None:
        milliseconds = {"$multiply": [period.total_seconds() * 1000, {"$add": [0.8, {"$multiply": [0.4, {"$rand": {}}]}]}]}
        stages: list[Document] = [*marks.wish(now), {"$set": {clock: {"$add": [now, {"$toLong": milliseconds}]}}}]
        due = await self.states.collection.update_many(OPEN | {clock: {"$lte": now}}, stages)
        if due.matched_count:
            telemetry.count("rounds_scheduled", due.matched_count, clock=clock)

    async def reconcile(self) -> None:
        """Calendars that were added or are being removed without our having heard of it: a lost message does no harm."""
        async for document in self.database.calendars.find({}):
            calendar = read(Calendar, document)
            state = await self.states.collection.find_one({"_id": calendar.id}, {"state": 1})
            if calendar.state == ("removing" if state else "active") and (state is None or state["state"] != "closed"):
                await self._catch_up(calendar)

    async def _catch_up(self, calendar: Calendar) -> None:
        change: Literal["added", "removing"] = "added" if calendar.state == "active" else "removing"
        message = CalendarChanged(
            organization=calendar.organization, connection=calendar.connection, calendar=calendar.id, change=change
        )
        log.info("calendar caught up", calendar=calendar.id, change=change)
        try:
            await self.handlers.calendar_changed(message)
        except (Dropped, Rejected) as error:
            log.info("nothing to catch up", calendar=calendar.id, reason=error.reason)
