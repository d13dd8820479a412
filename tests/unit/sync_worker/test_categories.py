"""The mailbox's category list is a favour: a mailbox that has none still gets its appointments."""

from typing import Any

import pytest

from common.errors import AttendaraError, Conflict, Gone, ReconnectNeeded, Refused
from common.store import SyncSettings
from sync_worker.categories import ensure_categories


class NoList:
    def __init__(self, error: AttendaraError) -> None:
        self.error = error

    async def master_categories(self) -> list[Any]:
        raise self.error


@pytest.mark.parametrize("kind", [Refused, Gone, Conflict])
async def test_a_mailbox_without_a_category_list_holds_up_no_round(kind: type[AttendaraError]) -> None:
    mailbox: Any = NoList(kind("Specified resource is not supported for MSA requests"))
    await ensure_categories(mailbox, SyncSettings(id="org"))


async def test_an_account_that_needs_its_owner_is_not_passed_over() -> None:
    mailbox: Any = NoList(ReconnectNeeded("sign in again"))
    with pytest.raises(ReconnectNeeded):
        await ensure_categories(mailbox, SyncSettings(id="org"))
