"""What each piece of work needs: the documents, Graph, and the others' ears."""

from dataclasses import dataclass

from common.announce import Announcer
from common.client_state import ClientStates
from common.graph import Graph, Mailbox
from common.messaging import Messaging
from common.store import Connection, Database, find_one
from renewer.subscriptions import Held, Subscriptions
from renewer.terms import Terms


@dataclass(frozen=True)
class Tools:
    database: Database
    subscriptions: Subscriptions
    graph: Graph
    messaging: Messaging
    announcer: Announcer
    client_states: ClientStates
    terms: Terms

    async def mailbox(self, held: Held) -> Mailbox:
        """Raises NotFound when the connection is gone."""
        connection = await find_one(Connection, self.database.connections, held.organization, held.connection)
        return self.graph.mailbox(connection.id, connection.mailbox)
