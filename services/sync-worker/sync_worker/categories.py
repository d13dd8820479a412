"""The mailbox's own category list: our two names are put there once, so that there is a colour to see.

Best effort: a label needs no master category, only its dot does. One that exists is left as it is, whatever its colour.
Source: https://learn.microsoft.com/graph/api/resources/outlookcategory (preset4 is green, preset0 red).
"""

from contextlib import suppress

import structlog

from common.errors import Conflict, Gone, Refused
from common.graph import Mailbox
from common.store import SyncSettings

log = structlog.get_logger()

GREEN, RED = "preset4", "preset0"


async def ensure_categories(mailbox: Mailbox, settings: SyncSettings) -> None:
    wanted = {settings.confirmed_category: GREEN, settings.cancelled_category: RED}
    try:
        present = {category.display_name.casefold() for category in await mailbox.master_categories()}
        for name, color in wanted.items():
            if name.casefold() not in present:
                with suppress(Conflict):  # another calendar's first round made it in between
                    await mailbox.create_master_category(name, color)
    except (Refused, Gone, Conflict) as error:
        log.warning("categories without colour", reason=error.reason, error=str(error))
