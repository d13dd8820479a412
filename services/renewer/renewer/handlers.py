"""The messages that the renewer reads. Each only leaves a mark; Graph is the runner's business."""

from dataclasses import dataclass

from common import telemetry
from common.messages import CalendarChanged, CalendarSyncRequested, ConnectionChanged, LifecycleReceived
from common.messaging import Messaging
from common.runner import Clock, Runner
from common.store import Calendar, Database, read
from common.taking import Dropped
from renewer.subscriptions import Subscriptions


@dataclass
class Handlers:
    database: Database
    subscriptions: Subscriptions
    messaging: Messaging
    runner: Runner
    clock: Clock

    def subscribe(self) -> None:
        self.messaging.subscribe(CalendarChanged, self.calendar_changed)
        self.messaging.subscribe(LifecycleReceived, self.lifecycle_received)
        self.messaging.subscribe(ConnectionChanged, self.connection_changed)

    async def calendar_changed(self, message: CalendarChanged) -> None:
        """Whatever the message says, the calendar's document says what is true."""
        if message.change in ("push-lost", "push-restored"):
            return  # our own words
        query = {"_id": message.calendar, "organization": message.organization}
        document = await self.database.calendars.find_one(query)
        if document is None:
            raise Dropped("unknown-calendar")
        if not await self.subscriptions.reflect(read(Calendar, document), self.clock(), telemetry.carrier()):
            raise Dropped("no-subscription")
        self.runner.wake()

    async def lifecycle_received(self, message: LifecycleReceived) -> None:
        held = await self.subscriptions.of(message)
        if held is None:
            raise Dropped("unknown-subscription")
        match message.kind:
            case "reauthorizationRequired":
                await self.subscriptions.renew_now({"_id": held.id}, self.clock(), telemetry.carrier())
            case "subscriptionRemoved":
                await self.subscriptions.forget(held, self.clock(), telemetry.carrier())
            case "missed":
                lost = CalendarSyncRequested(organization=held.organization, calendar=held.calendar, reason="missed")
                await self.messaging.publish(lost)
            case _:
                raise Dropped("unknown-lifecycle-event")
        self.runner.wake()

    async def connection_changed(self, message: ConnectionChanged) -> None:
        """Of a connection that goes, each calendar says so itself. One that is back may have lost its subscriptions."""
        if message.change != "reconnected":
            return
        theirs = {"connection": message.connection, "organization": message.organization}
        if not await self.subscriptions.renew_now(theirs, self.clock(), telemetry.carrier()):
            raise Dropped("no-subscriptions")
        self.runner.wake()
