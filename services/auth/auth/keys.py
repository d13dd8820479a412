"""The rotation of the keys that wrap connections' data keys: some records at a time, while everything runs."""

from dataclasses import dataclass
from typing import Annotated

import structlog
from pydantic import Field
from pymongo import UpdateOne

from auth.connections import key_of, owner_of
from auth.vault import Unreadable, Vault
from common import telemetry
from common.errors import Rejected
from common.store import Collection, Document

log = structlog.get_logger()

MOST_AT_ONCE = 300

Kid = Annotated[str, Field(examples=["k2026"])]
ConnectionId = Annotated[str, Field(examples=["con_01kb3v5r2m8q4x7n9t6w0y1z2a"])]
Count = Annotated[int, Field(examples=[300])]


@dataclass(frozen=True)
class KeyUse:
    """`known`: auth has it in TOKEN_KEYS; `active`: it wraps what is new; `records`: how many can't be read without it."""

    key: Kid
    known: bool
    active: bool
    records: Count


@dataclass(frozen=True)
class Unopened:
    """A record that `key` doesn't open, or that was changed: it was left as it is."""

    connection: ConnectionId
    key: Kid


@dataclass(frozen=True)
class Rewrapped:
    """`overtaken`: changed by somebody else meanwhile, and left to them. `after`: where to go on; None at the end."""

    active: Kid
    rewrapped: Count
    overtaken: int
    unreadable: list[Unopened]
    after: ConnectionId | None


@dataclass
class Keys:
    collection: Collection
    vault: Vault

    async def in_use(self) -> list[KeyUse]:
        """The active one first, then the other known ones, then those that records name and that we don't have."""
        named = await self.collection.distinct("key.kid")
        known = self.vault.known
        return [await self._use(kid) for kid in (*known, *sorted(set(named) - set(known)))]

    async def _use(self, kid: str) -> KeyUse:
        records = await self.collection.count_documents({"key.kid": kid})
        return KeyUse(kid, kid in self.vault.known, kid == self.vault.active, records)

    async def rewrap(self, to: str, after: str, limit: int = MOST_AT_ONCE) -> Rewrapped:
        """Re-wraps the next records behind `after` that another key wraps. Raises Rejected (409) when `to` isn't our active key."""
        if to != self.vault.active:
            words = (
                f"here the active key is {self.vault.active!r}, not {to!r}: not all replicas of auth have the same TOKEN_KEYS yet"
            )
            raise Rejected(words, status=409, reason="another-active-key")
        others: Document = {"key.kid": {"$exists": True, "$ne": to}, "_id": {"$gt": after}}
        fields = ["organization", "key", "cache"]
        found = await self.collection.find(others, fields).sort("_id").limit(limit).to_list()
        updates: list[UpdateOne] = []
        unreadable: list[Unopened] = []
        for document in found:
            try:
                updates.append(self._update(document))
            except Unreadable as error:
                log.warning("record can't be re-wrapped", connection=document["_id"], error=str(error))
                unreadable.append(Unopened(document["_id"], document["key"]["kid"]))
        matched = (await self.collection.bulk_write(updates, ordered=False)).matched_count if updates else 0
        telemetry.count("keys_rewrapped", matched)
        last = found[-1]["_id"] if len(found) == limit else None
        return Rewrapped(to, matched, len(updates) - matched, unreadable, last)

    def _update(self, document: Document) -> UpdateOne:
        """Only where the key is still the one that was read: a key made or destroyed since stays as it is."""
        before = key_of(document)
        after = self.vault.rewrapped(document["cache"]["sealed"], before, owner_of(document))
        unchanged = {"_id": document["_id"], "key.kid": before.kid, "key.wrapped": before.wrapped}
        return UpdateOne(unchanged, {"$set": {"key": {"kid": after.kid, "wrapped": after.wrapped}}})
