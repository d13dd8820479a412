"""The collection `subscriptions`: one document per monitored calendar, each with the mark `work`.

Every write of a piece of work applies only while its lease is ours; handlers write wishes and nothing that work writes.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from pymongo.errors import DuplicateKeyError

from common.announce import stamp
from common.errors import Conflict
from common.ids import new_id
from common.marks import Claim, Marks
from common.messages import CalendarChanged, LifecycleReceived
from common.store import Calendar, Collection, Database, Document, Subscription


class Held(Subscription, frozen=True, kw_only=True):
    """What the renewer itself keeps beside what others may read.

    `renew_at`: when its next renewal is due. `minutes`: the life that Graph grants, once it refused ours. `key`: the id
    of the key in its clientState. `url`: where Graph posts to. `sync_reason`: a round is still to be asked for. `change`:
    what is to be announced.
    """

    renew_at: datetime | None = None
    minutes: int | None = None
    key: str | None = None
    url: str | None = None
    sync_reason: Literal["missed", "recreated"] | None = None
    change: str | None = None


class Subscriptions:
    def __init__(self, database: Database) -> None:
        self.collection: Collection = database.subscriptions
        self._calendars: Collection = database.calendars
        self.marks = Marks(self.collection, "work")
        self._prepared = False

    async def prepare(self) -> None:
        """The indexes, before the first write: that there is one subscription per calendar rests on them."""
        if not self._prepared:
            await self.collection.create_index("calendar", unique=True)
            await self.collection.create_index("connection")
            await self.collection.create_index("graph_id")
            await self.marks.create_index()
            self._prepared = True

    async def reflect(self, calendar: Calendar, now: datetime, trace: Mapping[str, str]) -> bool:
        """The calendar's subscription is wanted, or to go, as the calendar says. False when none is there that could go."""
        if calendar.state == "active":
            await self._want(calendar, now, trace)
            return True
        removing = [{"$set": {"state": "removing"}}, *self.marks.wish(now, trace)]
        return await self._update({"calendar": calendar.id, "organization": calendar.organization}, removing)

    async def _want(self, calendar: Calendar, now: datetime, trace: Mapping[str, str]) -> None:
        await self.prepare()
        made = {
            "_id": {"$ifNull": ["$_id", new_id("sub")]},
            "organization": calendar.organization,
            "connection": calendar.connection,
            "state": {"$ifNull": ["$state", "wanted"]},
        }
        wanted = [{"$set": made}, *self.marks.wish(now, trace)]
        try:
            await self.collection.update_one({"calendar": calendar.id}, wanted, upsert=True)
        except DuplicateKeyError:  # somebody else made it in the same moment
            await self.collection.update_one({"calendar": calendar.id}, wanted)

    async def of(self, message: LifecycleReceived) -> Held | None:
        """The subscription that Graph speaks of. The calendar's id was signed by us: it needs no organization beside it."""
        document = await self.collection.find_one({"calendar": message.calendar, "graph_id": message.subscription})
        return msgspec.convert(document, Held) if document else None

    async def wanted_elsewhere(self, held: Held, graph_ids: set[str]) -> set[str]:
        """Which of these belong to other calendars that are still monitored, over all organizations."""
        query = {"graph_id": {"$in": sorted(graph_ids)}, "_id": {"$ne": held.id}}
        others = {other["calendar"]: other["graph_id"] async for other in self.collection.find(query, ["calendar", "graph_id"])}
        active = await self._calendars.distinct("_id", {"_id": {"$in": sorted(others)}, "state": "active"})
        return {others[calendar] for calendar in active}

    async def renew_now(self, query: Document, now: datetime, trace: Mapping[str, str]) -> int:
        """Due for renewal at once, even what waits after a failure: its cause may be gone."""
        changed = await self.collection.update_many(query, [{"$set": {"renew_at": now}}, *self.marks.wish(now, trace)])
        await self.marks.hurry(query, now)
        return changed.matched_count

    async def forget(self, held: Held, now: datetime, trace: Mapping[str, str]) -> bool:
        """Graph no longer has it: it is wanted anew, unless it is to go."""
        state = {"$cond": [{"$eq": ["$state", "removing"]}, "removing", "wanted"]}
        gone = {"state": state, "graph_id": None, "expires_at": None, "renew_at": None}
        return await self._update({"_id": held.id, "graph_id": held.graph_id}, [{"$set": gone}, *self.marks.wish(now, trace)])

    async def write(self, claim: Claim, fields: Document) -> None:
        """Raises Conflict when the work was taken over by somebody else."""
        await self._write(claim, [{"$set": _literal(fields)}])

    async def say(self, claim: Claim, fields: Document, now: datetime) -> None:
        """As `write`, for what others must hear of."""
        await self._write(claim, [{"$set": _literal(fields)}, *stamp(now)])

    async def renewed(self, claim: Claim, began_with: datetime | None, fields: Document) -> None:
        """As `write`; but `renew_at` moves on only from where the renewal began, so that a wish that came meanwhile stays."""
        renew_at = {"$cond": [{"$eq": ["$renew_at", began_with]}, fields["renew_at"], "$renew_at"]}
        await self._write(claim, [{"$set": _literal(fields) | {"renew_at": renew_at}}])

    async def remove(self, claim: Claim) -> None:
        await self.collection.delete_one(self._ours(claim))

    async def _write(self, claim: Claim, change: list[Document]) -> None:
        if not await self._update(self._ours(claim), change):
            raise Conflict("the work was taken over", reason="taken-over")

    async def _update(self, query: Document, change: list[Document]) -> bool:
        return (await self.collection.update_one(query, change)).matched_count == 1

    def _ours(self, claim: Claim) -> Document:
        return {"_id": claim.id, "work.lease": claim.lease}


def _literal(fields: Document) -> Document:
    """In a pipeline a text with a `$` in front would be a field's name."""
    return {name: {"$literal": value} for name, value in fields.items()}


def announcement(document: Document) -> CalendarChanged | None:
    change: Any = document.get("change")
    if change is None:
        return None
    return CalendarChanged(
        organization=document["organization"],
        connection=document["connection"],
        calendar=document["calendar"],
        change=change,
    )
