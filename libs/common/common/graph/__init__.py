"""Microsoft Graph, as far as a calendar integration needs it: one client, one border where its errors become ours.

`Graph` is one process's client; `Graph.mailbox(connection)` speaks for one connected account. Requests pass, from the
outside in: `_BearerAuth` (a token from auth, and one refresh when Graph refuses it), `GateTransport` (the mailbox's
gate), the network. Shapes and rules are Microsoft's: https://learn.microsoft.com/graph/api/overview.
"""

from common.graph.client import Graph, Mailbox, make_graph
from common.graph.failures import LinkExpired
from common.graph.shapes import Event, GraphCalendar, GraphSubscription, MasterCategory, Page, Removed
from common.graph.tokens import AccessTokens

__all__ = [
    "AccessTokens",
    "Event",
    "Graph",
    "GraphCalendar",
    "GraphSubscription",
    "LinkExpired",
    "Mailbox",
    "MasterCategory",
    "Page",
    "Removed",
    "make_graph",
]
