"""Accounts of this Microsoft: who there is, and tokens without signing in."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, HTTPException, Query

from outlook_sandbox.accounts import Account, new_account
from outlook_sandbox.control.calendars import calendar_shown
from outlook_sandbox.control.finding import TheAccount, TheMailbox, TheSandbox
from outlook_sandbox.control.models import (
    AccountChange,
    AccountOpened,
    AccountShown,
    AccountsPage,
    NewAccount,
    TokenGiven,
    TokenWanted,
)
from outlook_sandbox.control.problems import refusals
from outlook_sandbox.graph.mailbox import Mailbox

router = APIRouter(tags=["accounts"])


@router.get("/accounts")
async def list_accounts(sandbox: TheSandbox, page: Annotated[AccountsPage, Query()]) -> list[AccountShown]:
    """A page of them, by user name."""
    wanted = page.search.casefold()
    found = [account for account in sandbox.accounts.all() if wanted in f"{account.username} {account.name}".casefold()]
    later = [account for account in found if account.username > page.after]
    return [_shown(account) for account in later[: page.limit]]


@router.post("/accounts", status_code=201, responses=refusals(409))
async def create_account(sandbox: TheSandbox, wanted: NewAccount) -> AccountOpened:
    """A new account with Outlook's first calendars and categories."""
    if sandbox.accounts.named(wanted.username) is not None:
        raise HTTPException(409, f"There is an account named {wanted.username} already.")
    who, now = (wanted.kind, wanted.username, wanted.name, wanted.tid), sandbox.clock.now()
    made = new_account(*who, admin=wanted.admin, events=wanted.events, since=now)
    return _opened(sandbox.mailboxes.of(sandbox.accounts.add(made)), made)


@router.get("/accounts/{account}", responses=refusals(404))
async def get_account(mailbox: TheMailbox, account: TheAccount) -> AccountOpened:
    """One account with its calendars."""
    return _opened(mailbox, account)


@router.patch("/accounts/{account}", responses=refusals(404))
async def change_account(sandbox: TheSandbox, account: TheAccount, wanted: AccountChange) -> AccountShown:
    """Make an account an admin or not, disable or enable it."""
    return _shown(sandbox.accounts.add(msgspec.structs.replace(account, **wanted.model_dump(exclude_none=True))))


@router.delete("/accounts/{account}", status_code=204, responses=refusals(404))
async def delete_account(sandbox: TheSandbox, account: TheAccount) -> None:
    """The account is gone with all that is its own: mailbox, subscriptions, tokens, consents, faults. Nobody is told."""
    sandbox.accounts.remove(account.id)
    sandbox.tokens.forget(account.id)
    sandbox.lifecycle.revoked(account.id, silently=True)
    sandbox.mailboxes.remove(account)
    for armed in sandbox.faults.all():
        if armed.fault.account == account.id:
            sandbox.faults.remove(armed.id)


@router.post("/accounts/{account}/token", responses=refusals(404))
async def give_token(sandbox: TheSandbox, account: TheAccount, wanted: TokenWanted) -> TokenGiven:
    """An access token without signing in."""
    issued = sandbox.tokens.issue(account.id, wanted.app, frozenset(wanted.scopes), cp1=wanted.cp1)
    return TokenGiven(access_token=issued.access_token)


def _shown(account: Account) -> AccountShown:
    return AccountShown.model_validate(account, from_attributes=True)


def _opened(mailbox: Mailbox, account: Account) -> AccountOpened:
    calendars = [calendar_shown(mailbox, calendar) for calendar in mailbox.calendars.values()]
    return AccountOpened(**_shown(account).model_dump(), calendars=calendars)
