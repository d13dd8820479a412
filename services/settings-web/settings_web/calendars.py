"""The organization's monitored calendars: added, brought up to date, removed. The only writer of `calendars`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from pymongo.errors import DuplicateKeyError

from common import store
from common.announce import Announcer, stamp
from common.errors import NotFound, Rejected, Transient
from common.graph import Graph
from common.ids import new_id
from common.messages import CalendarChanged, CalendarSyncRequested, ConnectionChanged, Message
from common.messaging import Messaging
from common.runner import Clock, utc_now
from common.store import Calendar, Connection, Database, Document
from settings_web.offered import Offered, offered
from settings_web.rows import Row, rows

log = structlog.get_logger()

SETTLED = timedelta(seconds=10)
"""A calendar just set to removing may not have been heard of yet: it is not deleted before."""
GONE_CONNECTION = ("removing", "removed")


def message_of(calendar: Document) -> Message:
    return CalendarChanged(
        organization=calendar["organization"],
        connection=calendar["connection"],
        calendar=calendar["_id"],
        change="added" if calendar["state"] == "active" else "removing",
    )


@dataclass
class Calendars:
    database: Database
    announcer: Announcer
    messaging: Messaging
    graph: Graph
    clock: Clock = utc_now

    async def create_indexes(self) -> None:
        calendars = self.database.calendars
        await calendars.create_index(
            [("organization", 1), ("connection", 1), ("graph_id", 1)],
            unique=True,
            partialFilterExpression={"state": "active"},
        )
        await calendars.create_index("connection")
        await calendars.create_index("removing_at", partialFilterExpression={"state": "removing"})
        await self.announcer.create_index()

    async def all(self, organization: str) -> list[Document]:
        """The active ones, oldest first, as whole documents."""
        query = {"organization": organization, "state": "active"}
        return await self.database.calendars.find(query).sort("_id").to_list()

    async def rows(self, organization: str, connections: Sequence[Connection]) -> list[Row]:
        """As the page shows them. `connections`: the organization's."""
        return await rows(self.database, await self.all(organization), connections, self.clock())

    async def one(self, organization: str, calendar: str) -> Calendar:
        found = await store.find_one(Calendar, self.database.calendars, organization, calendar)
        if found.state != "active":
            raise NotFound("no such calendar")
        return found

    async def offered(self, connection: Connection) -> list[Offered]:
        """The account's calendars at Microsoft, each with whether it may be added. Raises what Graph raises."""
        listed = await self.graph.mailbox(connection.id, connection.mailbox).calendars()
        query = {"organization": connection.organization, "connection": connection.id, "state": "active"}
        monitored = set(await self.database.calendars.distinct("graph_id", query))
        return offered(listed, connection.username, monitored)

    async def add(self, connection: Connection, graph_ids: Sequence[str]) -> list[Calendar]:
        """Adds those chosen; one that is monitored already is left as it is. Raises Rejected (422) for one not on offer."""
        if connection.state == "removing":
            raise Rejected("This account is being removed.", status=409, reason="removing")
        if connection.state != "active":
            raise Rejected("This account has to be reconnected first.", status=409, reason=connection.state)
        if not graph_ids:
            raise Rejected("Choose at least one calendar.", status=422, reason="nothing-chosen")
        on_offer = {calendar.graph_id: calendar for calendar in await self.offered(connection)}
        chosen = [on_offer.get(graph_id) for graph_id in dict.fromkeys(graph_ids)]
        if not all(calendar and (calendar.monitored or calendar.may_be_added) for calendar in chosen):
            raise Rejected("One of these calendars can’t be added.", status=422, reason="not-on-offer")
        added = [await self._insert(connection, calendar) for calendar in chosen if calendar and not calendar.monitored]
        ids = [calendar.id for calendar in added if calendar]
        await self._announce(ids)
        return [calendar for calendar in added if calendar]

    async def _insert(self, connection: Connection, chosen: Offered) -> Calendar | None:
        now = self.clock()
        document = {
            "_id": new_id("cal"),
            "organization": connection.organization,
            "connection": connection.id,
            "graph_id": chosen.graph_id,
            "name": chosen.name,
            "state": "active",
            "created_at": now,
            "sequence": 1,
            "to_announce": 1,
            "announce_since": now,
        }
        try:
            await self.database.calendars.insert_one(document)
        except DuplicateKeyError:
            return None
        return store.read(Calendar, document)

    async def request_sync(self, organization: str, calendar: str) -> None:
        """Raises Transient when the broker is away: nothing was asked for then."""
        await self.one(organization, calendar)
        await self.messaging.publish(
            CalendarSyncRequested(organization=organization, calendar=calendar, mode="delta", reason="manual")
        )
        asked = {"$set": {"sync_asked_at": self.clock()}}
        await self.database.calendars.update_one({"_id": calendar, "organization": organization}, asked)

    async def remove(self, organization: str, calendar: str, *, remove_labels: bool) -> None:
        await self.one(organization, calendar)
        mine = {"_id": calendar, "organization": organization}
        await self._wish_labels_off(mine, remove_labels)
        await self._set_removing(mine)

    async def before_removal_of(self, connection: Connection, *, remove_labels: bool) -> None:
        """Notes what is to become of the labels; the calendars follow when the connection is removing (`connection_changed`)."""
        await self._wish_labels_off({"connection": connection.id, "organization": connection.organization}, remove_labels)

    async def connection_changed(self, message: ConnectionChanged) -> None:
        """A connection that goes takes its calendars along; for anything else the pages read the store."""
        document = await self.database.connections.find_one({"_id": message.connection}, ["state"])
        if document is None or document["state"] in GONE_CONNECTION:
            await self._set_removing({"connection": message.connection})

    async def sweep(self) -> None:
        """Finishes removals: first those that a lost message left behind, then the documents that nobody needs any more."""
        used = await self.database.calendars.distinct("connection", {"state": "active"})
        if used:
            alive = {"_id": {"$in": used}, "state": {"$nin": GONE_CONNECTION}}
            gone = set(used) - set(await self.database.connections.distinct("_id", alive))
            if gone:
                await self._set_removing({"connection": {"$in": sorted(gone)}})
        settled = {
            "state": "removing",
            "removing_at": {"$lte": self.clock() - SETTLED},
            "to_announce": {"$exists": False},
        }
        async for calendar in self.database.calendars.find(settled, ["_id"]):
            await self._delete_if_unused(calendar["_id"])

    async def _delete_if_unused(self, calendar: str) -> None:
        if await self.database.sync_states.find_one({"_id": calendar}, ["_id"]):
            return
        if await self.database.subscriptions.find_one({"calendar": calendar}, ["_id"]):
            return
        await self.database.calendars.delete_one({"_id": calendar, "state": "removing"})
        log.info("calendar removed", calendar=calendar)

    async def _wish_labels_off(self, query: Document, wished: bool) -> None:
        await self.database.calendars.update_many(query | {"state": "active"}, {"$set": {"remove_labels": wished}})

    async def _set_removing(self, query: Document) -> None:
        now = self.clock()
        change: Document = {"state": "removing", "removing_at": now}
        active = query | {"state": "active"}
        ids = await self.database.calendars.distinct("_id", active)
        await self.database.calendars.update_many(active | {"_id": {"$in": ids}}, [{"$set": change}, *stamp(now)])
        await self._announce(ids)

    async def _announce(self, ids: Iterable[str]) -> None:
        """At once if the broker takes it; otherwise the sweep does it later."""
        try:
            await self.announcer.announce({"_id": {"$in": list(ids)}})
        except Transient as error:
            log.warning("announced later", error=str(error))
