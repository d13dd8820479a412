"""A customer's answer, as reported by another service: it only becomes the wanted label; `label.py` writes it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from common import telemetry
from common.errors import NotFound, Rejected
from common.messages import AppointmentStatusReported
from common.messaging import Dropped
from common.store import Document
from sync_worker.appointments import Appointments

AHEAD = timedelta(minutes=5)
"""How far ahead of ours a sender's clock may be: an answer from the future would outrank all that follow."""


@dataclass
class Statuses:
    appointments: Appointments

    async def take(self, reported: AppointmentStatusReported, now: datetime) -> None:
        """Stores the status and marks the label. Raises NotFound for an unknown appointment, Dropped for an older answer."""
        if reported.occurred_at > now + AHEAD:
            raise Rejected("`occurred_at` lies in the future", reason="from-the-future")
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
