"""A customer's answer, as reported by another service: it only becomes the wanted label; `label.py` writes it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from ulid import ULID

from common import telemetry
from common.errors import NotFound, Rejected
from common.marks import Claim, Marks
from common.messages import AppointmentStatusReported
from common.messaging import Messaging
from common.store import Collection, Document
from common.taking import Dropped
from sync_worker.appointments import Appointments
from sync_worker.states import States

AHEAD = timedelta(minutes=5)
"""How far ahead of ours a sender's clock may be: an answer from the future would outrank all that follow."""


PATIENCE = timedelta(minutes=15)
LOOK_AGAIN = timedelta(seconds=2)


@dataclass
class Statuses:
    """`waiting` holds the answers on events that we don't know yet: their sender may be faster than Outlook's delta."""

    appointments: Appointments
    states: States
    waiting: Collection
    marks: Marks
    messaging: Messaging

    async def take(self, reported: AppointmentStatusReported, now: datetime) -> None:
        """Stores the status and marks the label, or lets it wait for its event. Raises NotFound for an unknown appointment."""
        if reported.occurred_at > now + AHEAD:
            raise Rejected("`occurred_at` lies in the future", reason="from-the-future")
        try:
            await self._store(reported, now)
        except NotFound:
            if reported.event is None:
                raise
            await self._let_wait(reported, now)

    async def look_again(self, claim: Claim, now: datetime) -> datetime | None:
        """Tries a waiting answer once more; parks it when patience is over and no first round of its connection is under way."""
        reported = msgspec.convert(claim.document["reported"], AppointmentStatusReported)
        try:
            await self._store(reported, now)
        except Dropped:
            pass
        except NotFound as error:
            if now < claim.document["since"] + PATIENCE or await self._first_round_under_way(reported):
                return now + LOOK_AGAIN
            await self.messaging.park_late(reported, f"{error.reason}: {error}")
        await self.waiting.delete_one({"_id": claim.id})
        return None

    async def _let_wait(self, reported: AppointmentStatusReported, now: datetime) -> None:
        kept: Document = msgspec.to_builtins(reported, builtin_types=(datetime,))
        document = {"_id": str(ULID()), "organization": reported.organization, "reported": kept, "since": now}
        await self.waiting.insert_one(document | {"mark": {"wanted_at": now, "due_at": now + LOOK_AGAIN}})

    async def _first_round_under_way(self, reported: AppointmentStatusReported) -> bool:
        connection = reported.event.connection if reported.event else None
        return await self.states.collection.find_one({"connection": connection, "state": "first"}, {"_id": 1}) is not None

    async def _store(self, reported: AppointmentStatusReported, now: datetime) -> None:
        """Raises NotFound for an unknown appointment, Dropped for an older answer."""
        one = _named(reported)
        at = reported.occurred_at
        # MongoDB keeps milliseconds: of two different answers within the same one, that which arrives last counts.
        tied: Document = {"status.occurred_at": at, "status.value": {"$ne": reported.status}}
        newer: Document = {
            "$or": [{"status.occurred_at": None}, {"status.occurred_at": {"$lt": at}}, tied],
            "removed": None,
        }
        status = {"value": reported.status, "occurred_at": reported.occurred_at}
        pipeline = [{"$set": {"status": {"$literal": status}}}, *self.appointments.labels.wish(now, telemetry.carrier())]
        if (await self.appointments.collection.update_one(one | newer, pipeline)).matched_count:
            return
        known = await self.appointments.collection.find_one(one, {"removed": 1})
        if known is None:
            raise NotFound("no such appointment in this organization", reason="unknown-appointment")
        raise Dropped("appointment-removed" if known["removed"] else "older-status")


def _named(reported: AppointmentStatusReported) -> Document:
    if reported.event is not None:
        return {"organization": reported.organization, "connection": reported.event.connection, "event_id": reported.event.id}
    return {"organization": reported.organization, "_id": reported.appointment}
