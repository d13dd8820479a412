"""Delete a calendar's subscription: at Graph, then its document, whose absence tells settings-web that we are done."""

from contextlib import suppress

import structlog

from common.errors import AdminConsentNeeded, Gone, NotFound, ReconnectNeeded, Refused
from common.graph import Mailbox
from common.marks import Claim
from common.store import Calendar
from renewer.refusals import Shared
from renewer.subscriptions import Held
from renewer.terms import resource_of
from renewer.tools import Tools

log = structlog.get_logger()


async def delete(tools: Tools, claim: Claim, held: Held, calendar: Calendar | None) -> None:
    try:
        mailbox = await tools.mailbox(held)
        if held.graph_id:
            await delete_at_graph(mailbox, held.graph_id)
        elif calendar:  # the answer to a create may have been lost
            await delete_others(tools, mailbox, held, calendar)
    except (AdminConsentNeeded, NotFound, ReconnectNeeded, Refused, Shared) as error:
        log.info("a subscription is left to its end", calendar=held.calendar, reason=error.reason)
    await tools.subscriptions.remove(claim)


async def delete_at_graph(mailbox: Mailbox, subscription: str) -> None:
    """Gone already is as good."""
    with suppress(Gone):
        await mailbox.delete_subscription(subscription)


async def delete_others(tools: Tools, mailbox: Mailbox, held: Held, calendar: Calendar, named: str | None = None) -> None:
    """Whatever Graph lists for this calendar, and the one that it named: its list sometimes misses entries.

    Raises Shared when another organization, which connected the same account, holds one of them; that one stays.
    """
    ours = resource_of(calendar).strip("/")
    found = {listed.id for listed in await mailbox.subscriptions() if (listed.resource or "").strip("/") == ours}
    found |= {named} if named else set()
    theirs = await tools.subscriptions.wanted_elsewhere(held, found)
    for subscription in found - theirs:
        await delete_at_graph(mailbox, subscription)
    if theirs:
        raise Shared("another organization holds the one subscription that Graph allows for this calendar")
