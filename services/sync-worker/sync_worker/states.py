"""The collection `sync_states`, written by nobody else: each calendar's delta link, window, chain and marks.

Four marks: `delta` (bring up to date from the link), `full` (a new chain over the window), `checks` (find out what
became of suspects), and `closing` (the calendar is being removed). One more document per connection counts rounds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pymongo import ReturnDocument

from common.errors import reason_of
from common.marks import Claim, Marks
from common.runner import Work
from common.store import Calendar, Collection, Database, Document

REST = timedelta(milliseconds=750)
"""Between two delta rounds of one calendar: the first of a burst starts at once, the rest share the next ones."""

OPEN: Document = {"state": {"$in": ["first", "current"]}}


@dataclass(frozen=True)
class Marked:
    """The marks of a sync state."""

    delta: Marks
    full: Marks
    checks: Marks
    closing: Marks


@dataclass
class States:
    collection: Collection
    marks: Marked

    async def create_indexes(self) -> None:
        for marks in (self.marks.delta, self.marks.full, self.marks.checks, self.marks.closing):
            await marks.create_index()
        await self.collection.create_index("connection")
        for clock in ("safety_at", "nightly_at"):
            await self.collection.create_index(clock, sparse=True)

    async def open(self, calendar: Calendar, now: datetime, trace: Mapping[str, str]) -> None:
        """Begins a calendar with its first full round; one that is open already is left as it is."""
        first = {
            "organization": calendar.organization,
            "connection": calendar.connection,
            "graph_id": calendar.graph_id,
            "state": "first",
            "appointments": 0,
            "safety_at": now + timedelta(minutes=1),
            "nightly_at": now + timedelta(days=1),
            "full": {"wanted_at": now, "due_at": now, "traces": [dict(trace)] if trace else []},
        }
        await self.collection.update_one({"_id": calendar.id}, {"$setOnInsert": first}, upsert=True)

    async def wish(
        self, mode: Literal["delta", "full"], query: Document, now: datetime, trace: Mapping[str, str], seen: Document | None = None
    ) -> int:
        """Marks the open calendars that `query` finds, and sets `seen` on them; returns how many there were."""
        marks = self.marks.full if mode == "full" else self.marks.delta
        stages = marks.wish(now, trace) + ([{"$set": seen}] if seen else [])
        return (await self.collection.update_many(OPEN | query, stages)).matched_count

    async def draw_number(self, connection: str) -> int:
        """The next round's number: greater than that of every round of this connection which began before."""
        counter = await self.collection.find_one_and_update(
            {"_id": connection}, {"$inc": {"rounds": 1}}, upsert=True, return_document=ReturnDocument.AFTER
        )
        return int(counter["rounds"]) if counter else 0

    async def move_link(self, calendar: str, begun: str, link: str) -> bool:
        """The link moves only from the one that the round began with, and only while the calendar is open."""
        query = OPEN | {"_id": calendar, "link": begun}
        return (await self.collection.update_one(query, {"$set": {"link": link}})).matched_count == 1

    async def take_newer_link(self, calendar: str, ended: str, newer: str) -> bool:
        """The link of a newer chain follows where the old one has ended."""
        query = OPEN | {"_id": calendar, "link": ended, "newer_link": newer}
        change = {"$set": {"link": newer}, "$unset": {"newer_link": ""}}
        return (await self.collection.update_one(query, change)).matched_count == 1

    async def update(self, calendar: str, change: Document | list[Document], **also: object) -> bool:
        """Applies `change` to a calendar that is still open, where the further fields are what they should be."""
        return (await self.collection.update_one(OPEN | {"_id": calendar, **also}, change)).matched_count == 1


def saying_why(states: States, work: Work) -> Work:
    """`work`, with the reason of its failure kept on the sync state, where the pages read it."""

    async def run(claim: Claim, now: datetime) -> datetime | None:
        try:
            return await work(claim, now)
        except Exception as error:
            await states.update(claim.id, {"$set": {"last_error": reason_of(error)}})
            raise

    return run


def make_states(database: Database) -> States:
    states = database.sync_states
    marked = Marked(
        delta=Marks(states, "delta", rest=REST),
        full=Marks(states, "full"),
        checks=Marks(states, "checks"),
        closing=Marks(states, "closing"),
    )
    return States(states, marked)
