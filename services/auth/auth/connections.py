"""The stored connections: how one is found, opened, kept and changed. auth alone writes this collection.

Beside what `store.Connection` shows, a document holds `key` (the wrapped data key), `cache` (`version`, `sealed`: MSAL's
token cache), `refreshed_at`, `lease` (who refreshes it), the mark `idle` (`idle.py`), `claims` (what the next sign-in must
carry), `change` (what is to be announced) and `history`. The cache is only ever replaced where its version is the one that
was read, so that an older cache never replaces a newer one.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from pymongo import ASCENDING, ReturnDocument

from auth.history import ATTENDARA, MICROSOFT, Entry, Standing, history_of, recorded, stored
from auth.id_token import Identity
from auth.vault import Owner, Unreadable, Vault, WrappedKey
from common.announce import Announcer, stamp
from common.errors import NotFound, Transient
from common.ids import new_id
from common.marks import Marks
from common.messages import ConnectionChanged
from common.store import Collection, Connection, ConnectionState, Document, read

LIVE = ["active", "needs-reconnect", "needs-admin-consent"]
LEASE = timedelta(seconds=60)
"""Longer than a refresh and its confirmation may take."""
FIRST_LOOK = timedelta(days=1)
"""When it is first asked whether a connection is idle; the answer says when again."""
ANNOUNCE_PATIENCE_SECONDS = 2.0
SAMPLE = 5
"""How many records a key may fail to open before it is called wrong."""
WITHOUT_HISTORY = {"history": False}


@dataclass(frozen=True)
class Seen:
    """A connection as it stood when its token cache was of this version."""

    connection: Connection
    version: int


@dataclass(frozen=True)
class Opened(Seen):
    """With its token cache decrypted."""

    cache: str = field(repr=False)
    key: WrappedKey = field(repr=False)


@dataclass
class Connections:
    collection: Collection
    vault: Vault
    announcer: Announcer

    def __post_init__(self) -> None:
        self.idle = Marks(self.collection, "idle")

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
        await self.idle.create_index()
        await self.announcer.create_index()

    async def _check_keys(self) -> None:
        for kid in await self.collection.distinct("key.kid"):
            await self._check_key(kid)

    async def _check_key(self, kid: str) -> None:
        """A key is wrong when it opens none of several records: a single one that was changed stops nobody else."""
        failure = None
        async for document in self.collection.find({"key.kid": kid}, {"organization": True, "key": True}).limit(SAMPLE):
            try:
                return self.vault.check(key_of(document), owner_of(document))
            except Unreadable as error:
                failure = error
        if failure:
            raise failure

    async def find(self, organization: str, connection_id: str) -> Connection:
        """Raises NotFound, also for another organization's and for a removed one."""
        document = await self.collection.find_one({"_id": connection_id, "organization": organization}, WITHOUT_HISTORY)
        return _there(document)

    async def history(self, organization: str, connection_id: str) -> list[Entry]:
        """The newest last, also of a removed one. Raises NotFound."""
        document = await self.collection.find_one({"_id": connection_id, "organization": organization}, {"history": True})
        if document is None:
            raise NotFound("no such connection")
        return history_of(document)

    async def of_organization(self, organization: str) -> list[Connection]:
        mine: Document = {"organization": organization, "state": {"$ne": "removed"}}
        found = self.collection.find(mine, WITHOUT_HISTORY).sort("_id")
        return [read(Connection, document) async for document in found]

    async def of_account(self, organization: str, identity: Identity) -> Seen | None:
        """The organization's living connection to this account."""
        account: Document = {"organization": organization, "tid": identity.tid, "oid": identity.oid}
        document = await self.collection.find_one(account | {"state": {"$in": LIVE}}, WITHOUT_HISTORY)
        return Seen(read(Connection, document), document["cache"]["version"]) if document else None

    async def open(self, connection_id: str) -> Opened:
        """Raises NotFound, Unreadable."""
        document = await self.collection.find_one({"_id": connection_id}, WITHOUT_HISTORY)
        _there(document)
        return self._opened(document or {})

    async def claims(self, connection_id: str) -> str | None:
        """What the next sign-in must carry, because Microsoft said so when it last refused."""
        return (await self.collection.find_one({"_id": connection_id}, {"claims": True}) or {}).get("claims")

    async def add(
        self,
        organization: str,
        identity: Identity,
        username: str,
        cache: str,
        now: datetime,
        *,
        who: str,
        scopes: Sequence[str] = (),
    ) -> str:
        """Raises DuplicateKeyError when somebody else has just connected this account."""
        connection_id = new_id("con")
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
                "scopes": list(scopes),
                "refreshed_at": now,
                "idle": {"wanted_at": now, "due_at": now + FIRST_LOOK},
                "change": "connected",
                "history": [stored(Entry(at=now, who=who, what="connected"))],
                **self._sealed_anew(Owner(organization, connection_id), 1, cache),
                "sequence": 1,
                "to_announce": 1,
                "announce_since": now,
            }
        )
        return connection_id

    async def renew(self, seen: Seen, cache: str, username: str, now: datetime, *, who: str, scopes: Sequence[str] = ()) -> bool:
        """A new grant, under a new data key, for a connection that is active from now on; False when it changed meanwhile."""
        connection = seen.connection
        owner = Owner(connection.organization, connection.id)
        grant: Document = {"username": {"$literal": username}, "scopes": list(scopes), "refreshed_at": now}
        stages: list[Document] = [{"$set": self._sealed_anew(owner, seen.version + 1, cache) | grant}, {"$unset": "claims"}]
        entry = Entry(at=now, who=who, what="reconnected")
        stages += [recorded(entry)] if connection.state == "active" else _changed(entry, "active")
        return await self._update(seen, [connection.state], stages)

    async def keep_cache(self, opened: Opened, cache: str, now: datetime, *, scopes: Sequence[str] = ()) -> bool:
        """After a refresh. False when a newer cache is stored, or the connection is dead or gone: then this one is thrown away."""
        sealed = self.vault.seal(cache.encode(), opened.key, Owner(opened.connection.organization, opened.connection.id))
        cached = {"version": opened.version + 1, "sealed": sealed}
        replaced = {"cache": cached, "scopes": list(scopes), "refreshed_at": now}
        return await self._update(opened, ["active", "removing"], [{"$set": replaced}])

    async def declare_dead(
        self,
        opened: Opened,
        state: Literal["needs-reconnect", "needs-admin-consent"],
        reason: str,
        now: datetime,
        *,
        claims: str | None = None,
    ) -> bool:
        """False when the cache that Microsoft refused is no longer the one that is stored."""
        stages = _changed(Entry(at=now, who=MICROSOFT, what=state, reason=reason), state)
        return await self._update(opened, ["active"], [*stages, {"$set": {"claims": {"$literal": claims}}}])

    async def rename(self, organization: str, connection_id: str, name: str, now: datetime, *, who: str | None) -> Connection:
        """Raises NotFound."""
        mine: Document = {"_id": connection_id, "organization": organization, "state": {"$ne": "removed"}}
        entry = recorded(Entry(at=now, who=who, what="renamed", name=name), name_before="$name")
        await self.collection.update_one(mine | {"name": {"$ne": name}}, [entry, {"$set": {"name": {"$literal": name}}}])
        return await self.find(organization, connection_id)

    async def begin_removing(
        self, organization: str, connection_id: str, now: datetime, *, who: str | None, standing: Standing
    ) -> bool:
        """`standing`: what there is to delete. False when it is being removed already."""
        mine: Document = {"_id": connection_id, "organization": organization, "state": {"$in": LIVE}}
        entry = Entry(at=now, who=who, what="removing", standing=standing)
        stages = [*_changed(entry, "removing"), {"$set": {"standing": standing.model_dump()}}]
        return (await self.collection.update_one(mine, stages)).matched_count == 1

    async def removing(self) -> list[Connection]:
        found = self.collection.find({"state": "removing"}, {name: False for name in ("history", "cache", "key")})
        return [read(Connection, document) async for document in found]

    async def destroy(self, connection_id: str, left: Standing, now: datetime) -> bool:
        """Without its data key a cache is noise, also in a backup made after the key was destroyed. False if it was done."""
        found = (await self.collection.find_one({"_id": connection_id}, {"standing": True}) or {}).get("standing")
        entry = Entry(
            at=now,
            who=ATTENDARA,
            what="removed",
            deleted=Standing(**found).without(left) if found else None,
            left=left if left else None,
            destroyed=["data key", "token cache"],
            ended="patience-over" if left else "complete",
        )
        gone: Document = {"$unset": ["key", "cache", "lease", "standing", "idle", "claims"]}
        stages = [gone, *_changed(entry, "removed")]
        return (await self.collection.update_one({"_id": connection_id, "state": "removing"}, stages)).matched_count == 1

    async def lease(self, connection_id: str, holder: str, now: datetime) -> Opened | None:
        """The connection as it stands, ours to refresh; None while somebody else is at it."""
        free: Document = {"$or": [{"lease": {"$exists": False}}, {"lease.until": {"$lte": now}}]}
        document = await self.collection.find_one_and_update(
            {"_id": connection_id, "key": {"$exists": True}} | free,
            {"$set": {"lease": {"holder": holder, "until": now + LEASE}}},
            projection=WITHOUT_HISTORY,
            return_document=ReturnDocument.AFTER,
        )
        return self._opened(document) if document else None

    async def release(self, connection_id: str, holder: str) -> None:
        await self.collection.update_one({"_id": connection_id, "lease.holder": holder}, {"$unset": {"lease": ""}})

    async def announce(self, connection_id: str) -> None:
        """Announces what is stored, if the broker is quick; else the sweep does it."""
        with suppress(Transient, TimeoutError):
            await asyncio.wait_for(self.announcer.announce({"_id": connection_id}), ANNOUNCE_PATIENCE_SECONDS)

    async def _update(self, seen: Seen, states: list[ConnectionState], stages: list[Document]) -> bool:
        unchanged: Document = {"_id": seen.connection.id, "cache.version": seen.version, "state": {"$in": states}}
        return (await self.collection.update_one(unchanged, stages)).matched_count == 1

    def _sealed_anew(self, owner: Owner, version: int, cache: str) -> Document:
        key = self.vault.new_key(owner)
        return {
            "key": {"kid": key.kid, "wrapped": key.wrapped},
            "cache": {"version": version, "sealed": self.vault.seal(cache.encode(), key, owner)},
        }

    def _opened(self, document: Document) -> Opened:
        key, cache = key_of(document), document["cache"]
        text = self.vault.open(cache["sealed"], key, owner_of(document)).decode()
        return Opened(read(Connection, document), cache["version"], text, key)


def message_of(document: Document) -> ConnectionChanged:
    return ConnectionChanged(organization=document["organization"], connection=document["_id"], change=document["change"])


def _changed(entry: Entry, state: ConnectionState) -> list[Document]:
    into = {"state": state, "reason": entry.reason, "since": entry.at, "change": entry.what}
    return [{"$set": into}, recorded(entry), *stamp(entry.at)]


def _there(document: Document | None) -> Connection:
    if document is None or document["state"] == "removed":
        raise NotFound("no such connection")
    return read(Connection, document)


def key_of(document: Document) -> WrappedKey:
    return WrappedKey(document["key"]["kid"], document["key"]["wrapped"])


def owner_of(document: Document) -> Owner:
    return Owner(document["organization"], document["_id"])
