"""The organization's Microsoft accounts: read from the store, changed through auth, which alone writes them."""

from dataclasses import dataclass

from common import store
from common.errors import NotFound, Rejected
from common.store import Connection, Database
from settings_web.auth_door import AuthDoor, Entry
from settings_web.text import one_line

LONGEST_LABEL = 80
MOST_REMOVED = 100


@dataclass
class Connections:
    database: Database
    auth: AuthDoor

    async def all(self, organization: str) -> list[Connection]:
        """By label; those being removed included, those removed not."""
        query = {"organization": organization, "state": {"$ne": "removed"}}
        found = [store.read(Connection, document) async for document in self.database.connections.find(query)]
        return sorted(found, key=lambda connection: connection.name.casefold())

    async def one(self, organization: str, connection: str) -> Connection:
        """Raises NotFound, also for one that was removed."""
        found = await store.find_one(Connection, self.database.connections, organization, connection)
        if found.state == "removed":
            raise NotFound("no such connection")
        return found

    async def removed(self, organization: str) -> list[Connection]:
        """Those that are gone, the last first."""
        query = {"organization": organization, "state": "removed"}
        documents = self.database.connections.find(query).sort("since", -1).limit(MOST_REMOVED)
        return [store.read(Connection, document) async for document in documents]

    async def history(self, organization: str, connection: str) -> tuple[Connection, list[Entry]]:
        """Also of one that was removed; the newest last."""
        found = await store.find_one(Connection, self.database.connections, organization, connection)
        return found, await self.auth.history(organization, connection)

    async def admin_consent_url(self, organization: str, connection: str) -> str:
        """The link for the administrator of the account's tenant."""
        await self.one(organization, connection)
        return await self.auth.admin_consent_url(organization, connection)

    async def rename(self, organization: str, connection: str, label: str, user: str) -> str:
        """`user`: who wishes it. Returns the label as it was saved. Raises Rejected (422) if it is empty, too long or in use."""
        await self.one(organization, connection)
        others = [other for other in await self.all(organization) if other.id != connection]
        label = valid_label(label, others)
        await self.auth.rename(organization, connection, label, user)
        return label

    async def remove(self, organization: str, connection: str, user: str) -> None:
        """auth says `connection.changed removing`, and the account's calendars follow."""
        await self.auth.remove(organization, connection, user)


def valid_label(label: str, others: list[Connection]) -> str:
    label = one_line(label)
    if not label:
        raise Rejected("Give the account a label.", status=422, reason="label-missing")
    if len(label) > LONGEST_LABEL:
        raise Rejected(f"The label may have at most {LONGEST_LABEL} characters.", status=422, reason="label-too-long")
    if any(other.name.casefold() == label.casefold() for other in others):
        raise Rejected("Another account has this label already. Choose a different one.", status=422, reason="label-taken")
    return label
