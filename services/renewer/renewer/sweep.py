"""The sweep: what a lost message left undone. Active calendars have a subscription to our address, removed ones have none.

Each turn looks at the next slice of the calendars, newest first, so that its cost is bounded however many there are.
"""

from dataclasses import dataclass, field

import structlog

from common.announce import Announcer
from common.runner import Clock, Runner
from common.store import Calendar, Database, Document, read
from renewer.subscriptions import Subscriptions

log = structlog.get_logger()

SLICE = 2_000
_AFTER_ALL = "cal_~"


@dataclass
class Sweep:
    database: Database
    subscriptions: Subscriptions
    announcer: Announcer
    runner: Runner
    clock: Clock
    url: str
    _before: str = field(default=_AFTER_ALL)

    async def turn(self) -> int:
        """How many calendars were put right."""
        await self.subscriptions.prepare()
        await self.announcer.create_index()
        slice_of_ids = {"_id": {"$lt": self._before}}
        ids = [found["_id"] async for found in self.database.calendars.find(slice_of_ids, {"_id": 1}).sort("_id", -1).limit(SLICE)]
        count = 0
        if ids:
            async for calendar in await self.database.calendars.aggregate(_differing(ids[-1], self._before, self.url)):
                count += await self.subscriptions.reflect(read(Calendar, calendar), self.clock(), {})
        self._before = ids[-1] if len(ids) == SLICE else _AFTER_ALL
        if count:
            log.info("calendars put right by the sweep", count=count)
            self.runner.wake()
        return count


def _differing(first: str, before: str, url: str) -> list[Document]:
    """Calendars of the slice whose subscription isn't as they say."""
    lookup = {"from": "subscriptions", "localField": "_id", "foreignField": "calendar", "as": "held"}
    unwanted = {"state": "removing", "held.0": {"$exists": True}, "held.state": {"$ne": "removing"}}
    elsewhere = {"state": "active", "held.url": {"$exists": True, "$nin": [None, url]}}
    return [
        {"$match": {"_id": {"$gte": first, "$lt": before}}},
        {"$lookup": lookup},
        {"$match": {"$or": [{"state": "active", "held": []}, unwanted, elsewhere]}},
        {"$unset": "held"},
    ]
