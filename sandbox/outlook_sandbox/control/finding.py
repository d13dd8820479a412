"""What the paths of the control API name, found for its routes; 404 where it isn't there."""

from typing import Annotated

from fastapi import Depends, HTTPException, Path, Request

from outlook_sandbox.accounts import Account
from outlook_sandbox.graph.mailbox import Mailbox
from outlook_sandbox.graph.model import Calendar
from outlook_sandbox.state import Sandbox, sandbox_of


async def _sandbox(request: Request) -> Sandbox:
    return sandbox_of(request)


TheSandbox = Annotated[Sandbox, Depends(_sandbox)]


def account_named(sandbox: Sandbox, name: str) -> Account:
    """The account with this id or user name. Raises HTTPException 404."""
    found = sandbox.accounts.get(name) or sandbox.accounts.named(name)
    if found is None:
        raise HTTPException(404, "There is no such account.")
    return found


async def _account(sandbox: TheSandbox, account: Annotated[str, Path(description="an id or a user name")]) -> Account:
    return account_named(sandbox, account)


TheAccount = Annotated[Account, Depends(_account)]


async def _mailbox(sandbox: TheSandbox, account: TheAccount) -> Mailbox:
    return sandbox.mailboxes.of(account)


TheMailbox = Annotated[Mailbox, Depends(_mailbox)]


def calendar_in(mailbox: Mailbox, identifier: str) -> Calendar:
    """Raises HTTPException 404."""
    found = mailbox.calendars.get(identifier)
    if found is None:
        raise HTTPException(404, "There is no such calendar.")
    return found


async def _calendar(mailbox: TheMailbox, calendar: Annotated[str, Path(description="an id")]) -> Calendar:
    return calendar_in(mailbox, calendar)


TheCalendar = Annotated[Calendar, Depends(_calendar)]
