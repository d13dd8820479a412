"""Messages in: each becomes a mark in MongoDB and a word to the runner. No handler calls Graph."""

from dataclasses import dataclass

from common import telemetry
from common.messages import (
    AppointmentStatusReported,
    CalendarChanged,
    CalendarSyncRequested,
    ConnectionChanged,
    NotificationReceived,
)
from common.messaging import Messaging
from common.runner import Clock, Runner
from common.store import Calendar, Database, read
from common.taking import Dropped
from sync_worker.removal import Removal
from sync_worker.states import States
from sync_worker.status import Statuses


@dataclass
class Handlers:
    database: Database
    states: States
    statuses: Statuses
    removal: Removal
    runners: dict[str, Runner]
    clock: Clock

    def subscribe(self, messaging: Messaging) -> None:
        messaging.subscribe(NotificationReceived, self.notification_received, together=True)
        messaging.subscribe(CalendarChanged, self.calendar_changed)
        messaging.subscribe(CalendarSyncRequested, self.sync_requested)
        messaging.subscribe(ConnectionChanged, self.connection_changed)
        messaging.subscribe(AppointmentStatusReported, self.status_reported)

    async def notification_received(self, message: NotificationReceived) -> None:
        seen = {"notified_at": message.received_at}
        if not await self.states.wish("delta", {"_id": message.calendar}, self.clock(), telemetry.carrier(), seen):
            raise Dropped("unknown-calendar")
        self.runners["delta round"].wake()

    async def calendar_changed(self, message: CalendarChanged) -> None:
        if message.change not in ("added", "removing"):
            return
        query = {"_id": message.calendar, "organization": message.organization}
        document = await self.database.calendars.find_one(query)
        if document is None:
            raise Dropped("unknown-calendar")
        if read(Calendar, document).state == "active":
            await self.states.open(read(Calendar, document), self.clock(), telemetry.carrier())
            self.runners["full round"].wake()
        elif await self.removal.begin(message.calendar, self.clock()):
            self.runners["calendar removal"].wake()

    async def sync_requested(self, message: CalendarSyncRequested) -> None:
        query = {"_id": message.calendar, "organization": message.organization}
        if not await self.states.wish(message.mode, query, self.clock(), telemetry.carrier()):
            raise Dropped("unknown-calendar")
        if message.reason == "manual":  # somebody waits: not for the end of a pause after failures
            await self.runners[f"{message.mode} round"].marks.hurry(query, self.clock())
        self.runners[f"{message.mode} round"].wake()

    async def connection_changed(self, message: ConnectionChanged) -> None:
        """A reconnected account's waiting work is due now, and a catch-up round follows from the kept links."""
        if message.change != "reconnected":
            return
        mine = {"connection": message.connection, "organization": message.organization}
        for runner in self.runners.values():
            await runner.marks.hurry(mine, self.clock())
        await self.states.wish("delta", mine, self.clock(), telemetry.carrier())
        for runner in self.runners.values():
            runner.wake()

    async def status_reported(self, message: AppointmentStatusReported) -> None:
        await self.statuses.take(message, self.clock())
        self.runners["label"].wake()
