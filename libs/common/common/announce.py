"""Announcing: what is stored is told to the others by a message, surely and at least once.

A write that others must hear of raises the document's `sequence` and sets `to_announce` to it, in the same update
(`stamp`). Announcing sends the document as it now is and clears `to_announce` only where it still equals what was
sent; a sweep finishes what a crash left. So a crash repeats a message and never loses one. Who was overtaken while
sending has it sent once more: a topic that is compacted keeps the last message, which must be the newest.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pymongo import UpdateOne

from common.messages import Message
from common.messaging import Messaging
from common.runner import Periodic
from common.store import Collection, Document

CHUNK = 200
UNSWEPT = timedelta(seconds=5)
"""A younger wish to announce is still in the hands of whoever made it."""


def stamp(now: datetime) -> list[Document]:
    """Pipeline stages that belong into every update which others must hear of."""
    return [
        {"$set": {"sequence": {"$add": [{"$ifNull": ["$sequence", 0]}, 1]}, "announce_since": now}},
        {"$set": {"to_announce": "$sequence"}},
    ]


@dataclass
class Announcer:
    """Announces a collection's documents; `message_of` says what a document's message is (None: nothing to say)."""

    collection: Collection
    messaging: Messaging
    message_of: Callable[[Document], Message | None]
    sweep_every: float = 5.0

    async def create_index(self) -> None:
        await self.collection.create_index("announce_since", partialFilterExpression={"to_announce": {"$exists": True}})

    async def announce(self, query: Document) -> int:
        """Announces what `query` finds and is still to be announced; returns how many. Raises Transient without a broker."""
        count = 0
        chunk: list[Document] = []
        async for document in self.collection.find(query | {"to_announce": {"$exists": True}}):
            chunk.append(document)
            if len(chunk) == CHUNK:
                await self._send(chunk)
                count += len(chunk)
                chunk = []
        await self._send(chunk)
        return count + len(chunk)

    async def _send(self, documents: Sequence[Document]) -> None:
        if not documents:
            return
        messages = [message for document in documents if (message := self.message_of(document))]
        await self.messaging.publish(*messages)
        cleared = await self.collection.bulk_write(
            [
                UpdateOne(
                    {"_id": document["_id"], "to_announce": document["to_announce"]},
                    {"$unset": {"to_announce": "", "announce_since": ""}},
                )
                for document in documents
            ],
            ordered=False,
        )
        if cleared.matched_count < len(documents):
            overtaken = [{"_id": document["_id"], "sequence": {"$gt": document["to_announce"]}} for document in documents]
            await self.announce_again({"$or": overtaken})

    async def sweep(self) -> int:
        return await self.announce({"announce_since": {"$lte": datetime.now(UTC) - UNSWEPT}})

    async def announce_again(self, query: Document) -> int:
        """Wishes that everything `query` finds be announced anew, for readers that lost what they had; the sweep does it."""
        long_ago = datetime.now(UTC) - UNSWEPT
        again = [{"$set": {"to_announce": {"$ifNull": ["$sequence", 1]}, "announce_since": long_ago}}]
        return (await self.collection.update_many(query, again)).matched_count

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with Periodic(f"announce {self.collection.name}", self.sweep, self.sweep_every).running():
            yield


def announce_door(announcer: Announcer, lock: Callable[..., Any], organization_field: str = "organization") -> APIRouter:
    """`POST /internal/v1/announce[?organization=…]`: announce everything anew. Answers `{"announced": <count>}`."""
    door = APIRouter(dependencies=[Depends(lock)])

    example = {"content": {"application/json": {"example": {"announced": 1200}}}}

    @door.post("/internal/v1/announce", responses={200: example})
    async def announce_again(organization: Annotated[str | None, Query(max_length=300)] = None) -> dict[str, int]:
        """Announce everything anew, or what belongs to one organization, for readers that lost what they had."""
        query: Document = {organization_field: organization} if organization else {}
        return {"announced": await announcer.announce_again(query)}

    return door
