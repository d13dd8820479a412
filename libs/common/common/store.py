"""MongoDB: what each collection holds, who alone writes it, and how the others read it.

| collection | one document is | written by |
| --- | --- | --- |
| `connections` | a Microsoft account of an organization, with its encrypted token cache | auth |
| `calendars` | a monitored calendar | settings-web |
| `sync_settings` | an organization's label names and prefix policy | settings-web |
| `sync_states` | a calendar's delta link, rounds and marks; and one counter of rounds per connection | sync-worker |
| `appointments` | one occurrence of an event, with status and label | sync-worker |
| `waiting_statuses` | a customer's answer on an event that isn't known yet | sync-worker |
| `subscriptions` | Graph's subscription for a calendar | renewer |

The structs below are what other services may read; the writer's documents may hold more. Instants are UTC.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import AutoReconnect, ConnectionFailure, WTimeoutError

from common.errors import NotFound
from common.settings import StoreSettings

Document = dict[str, Any]
Database = AsyncDatabase[Document]
Collection = AsyncCollection[Document]

ConnectionState = Literal["active", "needs-reconnect", "needs-admin-consent", "removing", "removed"]
CalendarState = Literal["active", "removing"]
PrefixPolicy = Literal["never", "no-attendees", "always"]


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """One Microsoft account that the organization connected. `name` is what the pages call its label.

    `scopes`: what Microsoft lets us do, which may be less than we asked for.
    """

    id: str = msgspec.field(name="_id")
    organization: str
    tid: str
    oid: str
    username: str
    name: str
    state: ConnectionState
    reason: str | None = None
    since: datetime
    created_at: datetime
    scopes: tuple[str, ...] | None = None

    @property
    def may_write_categories(self) -> bool:
        """Without it labels have no colour of their own until somebody adds the two categories in Outlook."""
        return self.scopes is None or "MailboxSettings.ReadWrite" in self.scopes

    @property
    def mailbox(self) -> str:
        """The key of everything that Microsoft counts per mailbox."""
        return f"{self.tid}:{self.oid}"


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """One Outlook calendar that is monitored. `graph_id` is Graph's id of it."""

    id: str = msgspec.field(name="_id")
    organization: str
    connection: str
    graph_id: str
    name: str
    state: CalendarState
    created_at: datetime
    remove_labels: bool = False


class SyncSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an organization wants written on its events; these defaults stand until somebody saves others."""

    id: str = msgspec.field(name="_id")
    confirmed_category: str = "Attendara — Confirmed"
    cancelled_category: str = "Attendara — Cancelled"
    prefix_policy: PrefixPolicy = "never"
    confirmed_prefix: str = "[Confirmed]"
    cancelled_prefix: str = "[Cancelled]"


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a full round is: pages read and events seen."""

    pages: int = 0
    events: int = 0


class SyncState(msgspec.Struct, frozen=True, kw_only=True):
    """How a calendar's synchronization stands, for the pages. `state`: `first` until the first round has ended."""

    id: str = msgspec.field(name="_id")
    organization: str
    connection: str
    state: Literal["first", "current", "closed"]
    last_round_at: datetime | None = None
    last_error: str | None = None
    progress: Progress | None = None
    appointments: int = 0


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """Graph's subscription for one calendar; `graph_id` is None until it is made.

    `checked_at`: when Graph last made or renewed it, or said that there can be none.
    """

    id: str = msgspec.field(name="_id")
    organization: str
    connection: str
    calendar: str
    graph_id: str | None = None
    expires_at: datetime | None = None
    state: Literal["wanted", "active", "no-push", "removing"]
    checked_at: datetime | None = None
    last_error: str | None = None


T = TypeVar("T")


def read(kind: type[T], document: Mapping[str, Any]) -> T:
    """A document as its struct; fields that the struct doesn't know are left out."""
    return msgspec.convert(document, kind)


def make_client(settings: StoreSettings) -> AsyncMongoClient[Document]:
    """Majority writes, aware datetimes; an operation waits 5 s at most for a server. Connects at its first use."""
    return AsyncMongoClient(
        settings.mongodb_url.get_secret_value(),
        tz_aware=True,
        w="majority",
        serverSelectionTimeoutMS=5_000,
        connectTimeoutMS=5_000,
        socketTimeoutMS=20_000,
        maxPoolSize=50,
    )


AWAY: tuple[type[Exception], ...] = (AutoReconnect, ConnectionFailure, WTimeoutError)
"""What the driver raises when a server is away: to be treated as Transient by `messaging` and `web`."""


async def find_one(kind: type[T], collection: Collection, organization: str, document_id: str) -> T:
    """The organization's own document, else NotFound: another organization's id looks like one that isn't there."""
    document = await collection.find_one({"_id": document_id, "organization": organization})
    if document is None:
        raise NotFound(f"no such {collection.name.rstrip('s').replace('_', ' ')}")
    return read(kind, document)


async def sync_settings_of(database: Database, organization: str) -> SyncSettings:
    document = await database.sync_settings.find_one({"_id": organization})
    return read(SyncSettings, document or {"_id": organization})


def readiness_of(database: Database) -> Any:
    async def readiness() -> str | None:
        await database.command("ping")
        return None

    return readiness
