"""Forgetting a connection: told to all at once, and its keys destroyed when nothing stands on it any more."""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from auth.connections import Connections
from common.runner import Clock, utc_now
from common.store import Connection, Database

log = structlog.get_logger()

PATIENCE = timedelta(minutes=15)
"""For labels to be taken off and subscriptions to be deleted, which needs tokens. Then the keys go all the same."""


@dataclass
class Forget:
    connections: Connections
    database: Database
    clock: Clock = utc_now

    async def begin(self, organization: str, connection_id: str) -> None:
        """From now on it is `removing`; asking again changes nothing. Raises NotFound."""
        await self.connections.find(organization, connection_id)
        if await self.connections.begin_removing(organization, connection_id, self.clock()):
            log.info("connection is being removed", organization=organization, connection=connection_id)
            await self.connections.announce(connection_id)

    async def sweep(self) -> None:
        """Finishes what can be finished, whoever began it."""
        for connection in await self.connections.removing():
            if await self._is_free(connection) or self.clock() - connection.since >= PATIENCE:
                await self.connections.destroy(connection.id, self.clock())
                log.info("connection removed", organization=connection.organization, connection=connection.id)
                await self.connections.announce(connection.id)

    async def _is_free(self, connection: Connection) -> bool:
        of_it = {"organization": connection.organization, "connection": connection.id}
        return not (await self.database.calendars.find_one(of_it) or await self.database.subscriptions.find_one(of_it))
