"""The stored connections: how one is found, opened, kept and changed. auth alone writes this collection.

Beside what `store.Connection` shows, a document holds `key` (the wrapped data key), `cache` (`version`, `sealed`: MSAL's
token cache), `lease` (who refreshes it) and `change` (what is to be announced). The cache is only ever replaced where its
version is the one that was read, so that an older cache never replaces a newer one.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from pymongo import ASCENDING, ReturnDocument

from auth.id_token import Identity
from auth.vault import Owner, Unreadable, Vault, WrappedKey
from common.announce import Announcer, stamp
from common.errors import NotFound, Transient
from common.ids import new_id
from common.messages import ConnectionChanged
from common.store import Collection, Connection, ConnectionState, Document, read

Change = Literal["connected", "needs-reconnect", "needs-admin-consent", "reconnected", "removing", "removed"]

LIVE = ["active", "needs-reconnect", "needs-admin-consent"]
LEASE = timedelta(seconds=60)
"""Longer than a refresh and its confirmation may take."""
ANNOUNCE_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True)
class Opened:
    """A connection with its token cache decrypted, as of `version`."""

    connection: Connection
    version: int
    cache: str = field(repr=False)
    key: WrappedKey = field(repr=False)


@dataclass
class Connections:
    collection: Collection
    vault: Vault
    announcer: Announcer

    async def prepare(self) -> None:
        """Makes the indexes. Raises Unreadable when stored connections need a key that we don't have, or have wrong."""
        await self._create_indexes()
        await self._check_keys()

    async def keys_readiness(self) -> str | None:
        try:
            await self._check_keys()
        except Unreadable as error:
            return str(error)
        return None

    async def _create_indexes(self) -> None:
        live: Document = {"state": {"$in": LIVE}}
        account = [("organization", ASCENDING), ("tid", ASCENDING), ("oid", ASCENDING)]
        await self.collection.create_index(account, unique=True, partialFilterExpression=live)
        await self.collection.create_index([("state", ASCENDING), ("since", ASCENDING)])
        await self.collection.create_index("key.kid", sparse=True)
        await self.announcer.create_index()

    async def _check_keys(self) -> None:
        for kid in await self.collection.distinct("key.kid"):
            document = await self.collection.find_one({"key.kid": kid})
            if document:
                self.vault.check(_key(document), _owner(document))

    async def find(self, organization: str, connection_id: str) -> Connection:
        """Raises NotFound, also for another organization's and for a removed one."""
        document = await self.collection.find_one({"_id": connection_id, "organization": organization})
        return _there(document)

    async def of_organization(self, organization: str) -> list[Connection]:
        found = self.collection.find({"organization": organization, "state": {"$ne": "removed"}}).sort("_id")
        return [read(Connection, document) async for document in found]

    async def of_account(self, organization: str, identity: Identity) -> Opened | None:
        """The organization's living connection to this account."""
        account: Document = {"organization": organization, "tid": identity.tid, "oid": identity.oid}
        document = await self.collection.find_one(account | {"state": {"$in": LIVE}})
        return self._opened(document) if document else None

    async def open(self, connection_id: str) -> Opened:
        """Raises NotFound, Unreadable."""
        document = await self.collection.find_one({"_id": connection_id})
        _there(document)
        return self._opened(document or {})

    async def add(self, organization: str, identity: Identity, username: str, cache: str, now: datetime) -> str:
        """Raises DuplicateKeyError when somebody else has just connected this account."""
        connection_id = new_id("con")
        owner = Owner(organization, connection_id)
        key = self.vault.new_key(owner)
        await self.collection.insert_one(
            {
                "_id": connection_id,
                "organization": organization,
                "tid": identity.tid,
                "oid": identity.oid,
                "username": username,
                "name": username,
                "state": "active",
                "reason": None,
                "since": now,
                "created_at": now,
                "change": "connected",
                "key": {"kid": key.kid, "wrapped": key.wrapped},
                "cache": {"version": 1, "sealed": self.vault.seal(cache.encode(), key, owner)},
                "sequence": 1,
                "to_announce": 1,
                "announce_since": now,
            }
        )
        return connection_id

    async def renew(self, opened: Opened, cache: str, username: str, now: datetime) -> bool:
        """A new grant for a connection, which is active again; False when its cache has been replaced meanwhile."""
        stages = [*self._replaced(opened, cache), {"$set": {"username": {"$literal": username}}}]
        if opened.connection.state != "active":
            stages += _changed("reconnected", "active", None, now)
        return await self._update(opened, LIVE, stages)

    async def keep_cache(self, opened: Opened, cache: str) -> bool:
        """False when a newer cache is stored, or the connection is gone: then this one must be thrown away."""
        return await self._update(opened, [*LIVE, "removing"], self._replaced(opened, cache))

    async def declare_dead(
        self, opened: Opened, state: Literal["needs-reconnect", "needs-admin-consent"], reason: str, now: datetime
    ) -> bool:
        """False when the cache that Microsoft refused is no longer the one that is stored."""
        return await self._update(opened, ["active"], _changed(state, state, reason, now))

    async def rename(self, organization: str, connection_id: str, name: str) -> Connection:
        mine: Document = {"_id": connection_id, "organization": organization, "state": {"$ne": "removed"}}
        after = ReturnDocument.AFTER
        return _there(await self.collection.find_one_and_update(mine, {"$set": {"name": name}}, return_document=after))

    async def begin_removing(self, organization: str, connection_id: str, now: datetime) -> bool:
        mine: Document = {"_id": connection_id, "organization": organization, "state": {"$in": LIVE}}
        done = await self.collection.update_one(mine, _changed("removing", "removing", None, now))
        return done.matched_count == 1

    async def removing(self) -> list[Connection]:
        return [read(Connection, document) async for document in self.collection.find({"state": "removing"})]

    async def destroy(self, connection_id: str, now: datetime) -> None:
        """Without its data key a cache is noise, also in a backup made after the key was destroyed."""
        gone: Document = {"$unset": ["key", "cache", "lease"]}
        stages = [gone, *_changed("removed", "removed", None, now)]
        await self.collection.update_one({"_id": connection_id, "state": "removing"}, stages)

    async def lease(self, connection_id: str, holder: str, now: datetime) -> Opened | None:
        """The connection as it stands, ours to refresh; None while somebody else is at it."""
        free: Document = {"$or": [{"lease": {"$exists": False}}, {"lease.until": {"$lte": now}}]}
        document = await self.collection.find_one_and_update(
            {"_id": connection_id, "key": {"$exists": True}} | free,
            {"$set": {"lease": {"holder": holder, "until": now + LEASE}}},
            return_document=ReturnDocument.AFTER,
        )
        return self._opened(document) if document else None

    async def release(self, connection_id: str, holder: str) -> None:
        await self.collection.update_one({"_id": connection_id, "lease.holder": holder}, {"$unset": {"lease": ""}})

    async def announce(self, connection_id: str) -> None:
        """Announces what is stored, if the broker is quick; else the sweep does it."""
        with suppress(Transient, TimeoutError):
            await asyncio.wait_for(self.announcer.announce({"_id": connection_id}), ANNOUNCE_PATIENCE_SECONDS)

    async def _update(self, opened: Opened, states: list[str], stages: list[Document]) -> bool:
        unchanged: Document = {"_id": opened.connection.id, "cache.version": opened.version, "state": {"$in": states}}
        return (await self.collection.update_one(unchanged, stages)).matched_count == 1

    def _replaced(self, opened: Opened, cache: str) -> list[Document]:
        owner = Owner(opened.connection.organization, opened.connection.id)
        sealed = self.vault.seal(cache.encode(), opened.key, owner)
        return [{"$set": {"cache": {"version": opened.version + 1, "sealed": sealed}}}]

    def _opened(self, document: Document) -> Opened:
        key, cache = _key(document), document["cache"]
        text = self.vault.open(cache["sealed"], key, _owner(document)).decode()
        return Opened(read(Connection, document), cache["version"], text, key)


def message_of(document: Document) -> ConnectionChanged:
    return ConnectionChanged(organization=document["organization"], connection=document["_id"], change=document["change"])


def _changed(change: Change, state: ConnectionState, reason: str | None, now: datetime) -> list[Document]:
    return [{"$set": {"state": state, "reason": reason, "since": now, "change": change}}, *stamp(now)]


def _there(document: Document | None) -> Connection:
    if document is None or document["state"] == "removed":
        raise NotFound("no such connection")
    return read(Connection, document)


def _key(document: Document) -> WrappedKey:
    return WrappedKey(document["key"]["kid"], document["key"]["wrapped"])


def _owner(document: Document) -> Owner:
    return Owner(document["organization"], document["_id"])
