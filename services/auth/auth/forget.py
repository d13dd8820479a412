"""Forgetting a connection: told to all at once, and its keys destroyed when nothing stands on it any more.

Each step is one update, so an interruption lies between two of them: the sweep of any replica goes on from what is stored.
"""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from auth.connections import Connections
from auth.history import Standing
from common.runner import Clock, utc_now
from common.store import Connection, Database, Document

log = structlog.get_logger()

PATIENCE = timedelta(minutes=15)
"""For labels to be taken off and subscriptions to be deleted, which needs tokens. Then the keys go all the same."""


@dataclass
class Forget:
    connections: Connections
    database: Database
    clock: Clock = utc_now

    async def begin(self, organization: str, connection_id: str, *, who: str | None) -> None:
        """From now on it is `removing`; asking again changes nothing. Raises NotFound."""
        connection = await self.connections.find(organization, connection_id)
        standing = await self._standing(connection)
        if await self.connections.begin_removing(organization, connection_id, self.clock(), who=who, standing=standing):
            log.info("connection is being removed", organization=organization, connection=connection_id)
            await self.connections.announce(connection_id)

    async def sweep(self) -> None:
        """Finishes what can be finished, whoever began it."""
        for connection in await self.connections.removing():
            left = await self._standing(connection)
            if left and self.clock() - connection.since < PATIENCE:
                continue
            if await self.connections.destroy(connection.id, left, self.clock()):
                log.info("connection removed", organization=connection.organization, connection=connection.id, complete=not left)
                await self.connections.announce(connection.id)

    async def _standing(self, connection: Connection) -> Standing:
        of_it: Document = {"organization": connection.organization, "connection": connection.id}
        calendars = await self.database.calendars.count_documents(of_it)
        subscriptions = await self.database.subscriptions.count_documents(of_it)
        return Standing(calendars=calendars, subscriptions=subscriptions)
