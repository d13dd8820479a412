"""A calendar leaves: its rounds stop, its labels go if asked, its appointments are announced removed and deleted.

The sync state goes last: settings-web deletes the calendar only when it is gone. Each step may be repeated.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from common.errors import NotFound, Permanent
from common.marks import Claim
from common.store import Database, Document
from sync_worker.appointments import Appointments
from sync_worker.label import Labels
from sync_worker.states import States

log = structlog.get_logger()

LOOK_AGAIN = timedelta(milliseconds=200)


@dataclass
class Removal:
    database: Database
    states: States
    appointments: Appointments
    labels: Labels

    async def begin(self, calendar: str, now: datetime) -> bool:
        """Closes the sync state first, so that a round under way ends with its page. False when there is none."""
        close: list[Document] = [{"$set": {"state": "closed"}}, {"$unset": ["link", "newer_link", "chain"]}]
        query = {"_id": calendar}
        return (await self.states.collection.update_one(query, close + self.states.marks.closing.wish(now))).matched_count == 1

    async def finish(self, claim: Claim, now: datetime) -> datetime | None:
        """Waits for whoever still works on the calendar: a page that is being stored would outlive it."""
        calendar = claim.document["_id"]
        if any(_leased(claim.document.get(mark), now) for mark in ("delta", "full", "checks")):
            return now + LOOK_AGAIN
        document = await self.database.calendars.find_one({"_id": calendar}, {"remove_labels": 1})
        if document and document.get("remove_labels"):
            if not await self._stop_labels(calendar, now):
                return now + LOOK_AGAIN
            await self._take_labels_off(calendar, now)
        mine: Document = {"calendar": calendar}
        gone = await self.appointments.remove(mine | {"end": {"$gte": now}}, "calendar-removed", now, {})
        await self.appointments.announcer.announce(mine)
        await self.appointments.collection.delete_many(mine)
        await self.states.collection.delete_one({"_id": calendar})
        log.info("calendar removed", calendar=calendar, announced=gone)
        return None

    async def _stop_labels(self, calendar: str, now: datetime) -> bool:
        """Nobody begins another label here; False while one is still being written."""
        collection = self.appointments.collection
        marked: Document = {"calendar": calendar, "label.mark": {"$exists": True}}
        leased: Document = {"label.mark.lease": {"$exists": True}, "label.mark.due_at": {"$gt": now}}
        await collection.update_many(marked | {"$nor": [leased]}, {"$unset": {"label.mark": ""}})
        return await collection.find_one(marked, {"_id": 1}) is None

    async def _take_labels_off(self, calendar: str, now: datetime) -> None:
        """While tokens serve: an account that needs its owner again keeps its labels."""
        ours: list[Document] = [{"label.value": {"$ne": "none"}}, {"label.writing": {"$exists": True}}]
        labelled: Document = {"calendar": calendar, "removed": None, "$or": ours}
        async for appointment in self.appointments.collection.find(labelled):
            try:
                await self.labels.take_off(appointment, now)
            except (Permanent, NotFound) as error:
                log.warning("labels stay", calendar=calendar, reason=error.reason)
                return


def _leased(mark: Document | None, now: datetime) -> bool:
    return mark is not None and "lease" in mark and mark["due_at"] > now
