"""The collection `appointments`, written by nobody else: what rounds see is stored behind a fence, and announced.

A round draws its number before its first request. A write of it applies only where the stored number is not greater,
so an older view of an event never replaces a newer one, whichever arrives last. `content`, `status` and `label` are
three subdocuments; a round never writes the last two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec
from pymongo import ASCENDING, InsertOne, UpdateOne
from pymongo.errors import BulkWriteError

from common.announce import Announcer, stamp
from common.errors import Conflict
from common.graph.shapes import Event
from common.ids import new_id
from common.marks import Marks
from common.messages import AppointmentChanged
from common.store import Collection, Database, Document
from sync_worker.content import Content, content_of, kept_outlook, own_prefixes

DUPLICATE_KEY = 11000
REREADS = 5


@dataclass(frozen=True)
class Place:
    """Where a round's appointments belong."""

    organization: str
    connection: str
    calendar: str


@dataclass
class Appointments:
    collection: Collection
    announcer: Announcer
    labels: Marks
    private_details: bool = False

    async def create_indexes(self) -> None:
        await self.collection.create_index([("connection", ASCENDING), ("event_id", ASCENDING)], unique=True)
        await self.collection.create_index([("calendar", ASCENDING), ("start", ASCENDING)])
        await self.collection.create_index([("connection", ASCENDING), ("series", ASCENDING)], sparse=True)
        await self.collection.create_index("calendar", partialFilterExpression={"suspect": {"$exists": True}}, name="suspects")
        await self.labels.create_index()
        await self.announcer.create_index()

    async def store(self, place: Place, events: Sequence[Event], number: int, now: datetime, trace: Document) -> int:
        """Stores what a page says and announces what of it is new; returns how many appointments changed.

        Single events, exceptions and whole occurrences only. Raises Conflict when others keep writing the same ones.
        """
        events = list({event.id: event for event in events}.values())
        changed: set[str] = set()
        for _ in range(REREADS):
            stored = await self._stored(place, events)
            writes = [self._write(place, event, stored.get(event.id), number, now, trace) for event in events]
            changed |= {write.id for write in writes if write and write.changes}
            if await self._apply([write.operation for write in writes if write]):
                break
        else:
            raise Conflict("appointments keep changing under a round")
        await self.announcer.announce({"_id": {"$in": list(changed)}})
        return len(changed)

    async def _stored(self, place: Place, events: Sequence[Event]) -> dict[str, Document]:
        fields = {"event_id": 1, "round": 1, "hash": 1, "removed": 1, "calendar": 1, "label.prefix": 1, "label.writing": 1}
        query = {"connection": place.connection, "event_id": {"$in": [event.id for event in events]}}
        return {document["event_id"]: document async for document in self.collection.find(query, fields)}

    def _write(
        self, place: Place, event: Event, stored: Document | None, number: int, now: datetime, trace: Document
    ) -> "_Write | None":
        prefixes = own_prefixes(stored.get("label", {})) if stored else ()
        content = content_of(event, prefixes=prefixes, private_details=self.private_details)
        seen = {"round": number, "outlook": kept_outlook(event), "type": event.type, "series": event.series_master_id}
        if stored is None:
            return _insertion(place, event, content, seen, now, trace)
        if stored["round"] > number:
            return None
        query = {"_id": stored["_id"], "round": {"$lte": number}, "hash": stored["hash"], "calendar": stored["calendar"]}
        back = stored["removed"] is not None
        if content.hash == stored["hash"] and stored["calendar"] == place.calendar and not back:
            unchanged = UpdateOne(query | {"removed": None}, {"$set": seen, "$unset": {"suspect": ""}})
            return _Write(stored["_id"], unchanged, changes=False)
        fields = seen | _content_fields(content) | {"calendar": place.calendar, "removed": None, "updated_at": now, "trace": trace}
        fields["change"] = "created" if back else "updated"
        pipeline: list[Document] = [{"$set": _literal(fields)}, {"$unset": "suspect"}, *stamp(now)]
        return _Write(stored["_id"], UpdateOne(query, pipeline), changes=True)

    async def _apply(self, operations: Sequence[Any]) -> bool:
        """False when somebody else wrote one of them in between: then the page is looked at again."""
        if not operations:
            return True
        try:
            result = await self.collection.bulk_write(operations, ordered=False)
        except BulkWriteError as error:
            codes = {failure["code"] for failure in error.details["writeErrors"]} - {DUPLICATE_KEY}
            if codes:  # the driver's own words would quote the events
                raise RuntimeError(f"MongoDB refused to store a page, with the codes {sorted(codes)}") from None
            return False
        return result.matched_count + result.inserted_count == len(operations)

    async def suspect(self, query: Document) -> int:
        """What a tombstone, a changed series or an ended full round left in doubt; `check.py` finds out.

        Returns how many are in doubt now, those that were before among them: a repeated page must mark them again.
        """
        doubt = [{"$set": {"suspect": {"$ifNull": ["$suspect", {"misses": 0}]}}}]
        return (await self.collection.update_many(query | {"removed": None}, doubt)).matched_count

    async def remove(self, query: Document, reason: str, now: datetime, trace: Document) -> int:
        """Declares removed what `query` finds, and announces it."""
        fields = {"removed": {"reason": reason, "at": now}, "change": "removed", "updated_at": now, "trace": trace}
        pipeline: list[Document] = [{"$set": _literal(fields)}, {"$unset": "suspect"}, *stamp(now)]
        ids = [document["_id"] async for document in self.collection.find(query | {"removed": None}, {"_id": 1})]
        gone = await self.collection.update_many(query | {"_id": {"$in": ids}, "removed": None}, pipeline)
        await self.announcer.announce({"_id": {"$in": ids}})
        return gone.modified_count

    async def count(self, calendar: str) -> int:
        return await self.collection.count_documents({"calendar": calendar, "removed": None})


@dataclass(frozen=True)
class _Write:
    id: str
    operation: Any
    changes: bool


def _insertion(place: Place, event: Event, content: Content, seen: Document, now: datetime, trace: Document) -> _Write:
    appointment = {
        "_id": new_id("apt"),
        "organization": place.organization,
        "connection": place.connection,
        "calendar": place.calendar,
        "event_id": event.id,
        **seen,
        **_content_fields(content),
        "status": {"value": "pending", "occurred_at": None},
        "label": {"value": "none"},
        "removed": None,
        "change": "created",
        "sequence": 1,
        "to_announce": 1,
        "announce_since": now,
        "created_at": now,
        "updated_at": now,
        "trace": trace,
    }
    return _Write(appointment["_id"], InsertOne(appointment), changes=True)


def _content_fields(content: Content) -> Document:
    return {"content": content.document(), "hash": content.hash, "start": content.start, "end": content.end}


def _literal(fields: Document) -> Document:
    """In an update pipeline a text that begins with `$` would be read as a field's name."""
    return {name: {"$literal": value} for name, value in fields.items()}


def message_of(document: Document) -> AppointmentChanged:
    """`appointment.changed` for an appointment as it now stands."""
    removed = document["removed"]
    label = document["label"]
    return msgspec.convert(
        {
            **document["content"],
            "start_date": _date(document["content"]["start_date"]),
            "end_date": _date(document["content"]["end_date"]),
            "organization": document["organization"],
            "appointment": document["_id"],
            "calendar": document["calendar"],
            "connection": document["connection"],
            "event": document["event_id"],
            "series": document["series"],
            "sequence": document["sequence"],
            "kind": document["change"],
            "reason": removed["reason"] if removed else None,
            "removed": removed is not None,
            "status": document["status"],
            "label": {"value": label["value"], "failed": label.get("failed"), "written_at": label.get("written_at")},
        },
        AppointmentChanged,
    )


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def make_appointments(database: Database, announcer: Announcer, private_details: bool) -> Appointments:
    return Appointments(database.appointments, announcer, Marks(database.appointments, "label.mark"), private_details)
