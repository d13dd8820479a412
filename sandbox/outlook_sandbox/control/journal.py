"""What the sandbox was asked."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query

from outlook_sandbox.control.finding import TheSandbox
from outlook_sandbox.control.models import JournalQuery, JournalShown
from outlook_sandbox.journal import Entry
from outlook_sandbox.state import Sandbox

router = APIRouter(tags=["journal"])


@router.get("/journal")
async def read_journal(sandbox: TheSandbox, query: Annotated[JournalQuery, Query()]) -> JournalShown:
    """The requests that came; this API's own are not among them. The newest 20,000 are kept."""
    wanted, journal = _filter(sandbox, query), sandbox.journal
    found = [entry for entry in journal.entries(query.since) if wanted(entry)]
    if not found and query.wait:
        await journal.wait(wanted, query.wait)
        found = [entry for entry in journal.entries(query.since) if wanted(entry)]
    if query.limit is not None:
        found = found[-query.limit :] if query.newest else found[: query.limit]
    return JournalShown(last=journal.last, entries=found)


@router.delete("/journal", status_code=204)
async def forget_journal(sandbox: TheSandbox) -> None:
    """Begin anew; numbers go on."""
    sandbox.journal.clear()


def _filter(sandbox: Sandbox, query: JournalQuery) -> Callable[[Entry], bool]:
    named = sandbox.accounts.named(query.account) if query.account else None
    account = named.id if named else query.account

    def wanted(entry: Entry) -> bool:
        return (
            account in (None, entry.account)
            and query.app in (None, entry.app)
            and query.method in (None, entry.method)
            and query.status in (None, entry.status)
            and query.batch in (None, entry.batch)
            and (query.contains is None or query.contains in entry.path)
        )

    return wanted
