"""Marks: written wishes that work be done, kept inside the documents that they are about, claimed by lease.

A mark is a subdocument: `wanted_at` (when it was last wished for), `due_at` (when it may be claimed: now, the end of a
lease, or the next try), `lease` (who is at it), `attempts`, `last_error`, `traces` (of those who wished). A mark is
cleared only where `wanted_at` is what it was when the work began; else it is due again at once, so a burst of wishes
costs one or two pieces of work. The lease only saves work: what keeps the result right is the worker's own fence.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pymongo import ASCENDING, ReturnDocument
from ulid import ULID

from common.errors import Throttled, reason_of
from common.store import Collection, Document

LONGEST_WAIT = timedelta(minutes=15)
KEPT_TRACES = 16
LEASE = timedelta(seconds=15)
"""Runners extend it while they work: this is how long the work of a crashed one waits."""


@dataclass(frozen=True)
class Claim:
    """A piece of work in our hands: the document as it was claimed, the mark's state, and the token of our lease."""

    document: Document
    wanted_at: datetime
    lease: str
    attempts: int
    traces: list[dict[str, str]]

    @property
    def id(self) -> Any:
        return self.document["_id"]


class Marks:
    """The marks at `path` of a collection's documents.

    `rest`: how long after one piece of work the next of the same document waits, so that a burst stays few pieces.
    """

    def __init__(self, collection: Collection, path: str, *, lease: timedelta = LEASE, rest: timedelta = timedelta(0)) -> None:
        self._rest = rest
        self._done_at = f"{path}_done_at"
        self._collection = collection
        self._path = path
        self.lease = lease

    async def create_index(self) -> None:
        """Only marked documents are in it: finding what is due costs the same however many aren't marked."""
        due = f"{self._path}.due_at"
        await self._collection.create_index([(due, ASCENDING)], partialFilterExpression={due: {"$exists": True}})

    def wish(self, now: datetime, trace: Mapping[str, str] | None = None) -> list[Document]:
        """Pipeline stages that set the mark, due now. A lease that is running is kept: it ends in another look anyway;
        a wait after a failure too: wishing more often must not mean trying more often.
        """
        due, wanted = f"${self._path}.due_at", f"${self._path}.wanted_at"
        soonest = {"$max": [now, {"$add": [f"${self._done_at}", self._rest / timedelta(milliseconds=1)]}]}
        kept = {"$or": [{"$gt": [f"${self._path}.lease", None]}, {"$gt": [f"${self._path}.attempts", 0]}]}
        mark: Document = {
            # Strictly later than the last wish, whatever the clocks say: else `done` couldn't tell them apart.
            "wanted_at": {"$max": [{"$add": [wanted, 1]}, now]},
            "due_at": {"$cond": [kept, due, {"$min": [due, soonest]}]},
        }
        if trace:
            waiting = {"$ifNull": [f"${self._path}.traces", []]}
            mark["traces"] = {"$slice": [{"$concatArrays": [waiting, [{"$literal": dict(trace)}]]}, KEPT_TRACES]}
        return [{"$set": {f"{self._path}.{name}": value for name, value in mark.items()}}]

    async def set(self, query: Document, now: datetime, trace: Mapping[str, str] | None = None) -> int:
        """Marks every document that `query` finds; returns how many there were."""
        return (await self._collection.update_many(query, self.wish(now, trace))).matched_count

    async def claim(self, now: datetime) -> Claim | None:
        """The longest due, leased to us; a lease that ran out is taken over."""
        lease = str(ULID())
        document = await self._collection.find_one_and_update(
            {f"{self._path}.due_at": {"$lte": now}},
            {"$set": {f"{self._path}.due_at": now + self.lease, f"{self._path}.lease": lease}},
            sort=[(f"{self._path}.due_at", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        if document is None:
            return None
        mark = self._mark(document)
        return Claim(document, mark["wanted_at"], lease, mark.get("attempts", 0), mark.get("traces", []))

    async def extend(self, claim: Claim, now: datetime) -> bool:
        """Keeps the lease; False when somebody else has taken the work over."""
        changed = await self._collection.update_one(self._ours(claim), {"$set": {f"{self._path}.due_at": now + self.lease}})
        return changed.matched_count == 1

    async def done(self, claim: Claim, now: datetime, *, again_at: datetime | None = None) -> None:
        """Clears the mark, or sets when it is due next; wishes that came meanwhile are due at once."""
        settled: Document = {"$set": {self._done_at: now}} if self._rest else {}
        if again_at is None:
            settled["$unset"] = {self._path: ""}
        else:
            settled.setdefault("$set", {})[self._path] = {"wanted_at": again_at, "due_at": again_at}
        cleared = await self._collection.update_one(self._ours(claim) | {f"{self._path}.wanted_at": claim.wanted_at}, settled)
        if cleared.matched_count == 0:
            # Those who wished meanwhile are the parents of the next piece of work; the claim's own were of this one.
            since = {"$slice": [{"$ifNull": [f"${self._path}.traces", []]}, len(claim.traces), KEPT_TRACES]}
            await self._collection.update_one(
                self._ours(claim),
                [
                    {
                        "$set": {
                            f"{self._path}.due_at": now + self._rest,
                            f"{self._path}.attempts": 0,
                            f"{self._path}.traces": since,
                        }
                    },
                    {"$unset": [f"{self._path}.lease", f"{self._path}.last_error"]},
                ],
            )

    async def failed(self, claim: Claim, error: BaseException, now: datetime) -> datetime:
        """Keeps the mark for a later try, growing and jittered; a `Throttled` says itself when. Returns that time."""
        retry_at = now + _wait(claim.attempts, error)
        await self._collection.update_one(
            self._ours(claim),
            {
                "$set": {
                    f"{self._path}.due_at": retry_at,
                    f"{self._path}.attempts": claim.attempts + 1,
                    f"{self._path}.last_error": f"{reason_of(error)}: {error}"[:500],
                },
                "$unset": {f"{self._path}.lease": ""},
            },
        )
        return retry_at

    async def give_back(self, claim: Claim, now: datetime) -> None:
        """Work that was neither done nor failed is due for somebody else."""
        path = self._path
        await self._collection.update_one(self._ours(claim), {"$set": {f"{path}.due_at": now}, "$unset": {f"{path}.lease": ""}})

    async def hurry(self, query: Document, now: datetime) -> None:
        """Makes what waits for a later try due now (the cause of its failure is gone)."""
        waiting: Document = {f"{self._path}.due_at": {"$gt": now}, f"{self._path}.lease": {"$exists": False}}
        await self._collection.update_many(query | waiting, {"$set": {f"{self._path}.due_at": now}})

    def _mark(self, document: Document) -> Document:
        mark: Any = document
        for step in self._path.split("."):
            mark = mark[step]
        return dict(mark)

    def _ours(self, claim: Claim) -> Document:
        return {"_id": claim.id, f"{self._path}.lease": claim.lease}


def _wait(attempts: int, error: BaseException) -> timedelta:
    if isinstance(error, Throttled):
        return timedelta(seconds=error.retry_after * random.uniform(1, 1.2))  # noqa: S311
    seconds = min(LONGEST_WAIT.total_seconds(), 0.5 * 2 ** min(attempts, 12))
    return timedelta(seconds=seconds * random.uniform(0.5, 1))  # noqa: S311
