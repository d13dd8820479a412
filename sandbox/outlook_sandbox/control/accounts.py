"""Accounts of this Microsoft: who there is, and tokens without signing in."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query

from outlook_sandbox.accounts import Account, new_account
from outlook_sandbox.control.calendars import calendar_shown
from outlook_sandbox.control.finding import TheAccount, TheMailbox, TheSandbox
from outlook_sandbox.control.models import AccountOpened, AccountShown, AccountsPage, NewAccount, TokenGiven, TokenWanted
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
    """A new account with Outlook's first calendar and categories."""
    if sandbox.accounts.named(wanted.username) is not None:
        raise HTTPException(409, f"There is an account named {wanted.username} already.")
    account = sandbox.accounts.add(new_account(wanted.kind, wanted.username, wanted.name, wanted.tid, wanted.events))
    return _opened(sandbox.mailboxes.of(account))


@router.get("/accounts/{account}", responses=refusals(404))
async def get_account(mailbox: TheMailbox) -> AccountOpened:
    """One account with its calendars."""
    return _opened(mailbox)


@router.delete("/accounts/{account}", status_code=204, responses=refusals(404))
async def delete_account(sandbox: TheSandbox, account: TheAccount) -> None:
    """The account and all that is its own are gone: mailbox, subscriptions, tokens, consents. Nobody is told."""


@router.post("/accounts/{account}/token", responses=refusals(404))
async def give_token(sandbox: TheSandbox, account: TheAccount, wanted: TokenWanted) -> TokenGiven:
    """An access token without signing in."""
    issued = sandbox.tokens.issue(account.id, wanted.app, frozenset(wanted.scopes))
    return TokenGiven(access_token=issued.access_token)


def _shown(account: Account) -> AccountShown:
    return AccountShown.model_validate(account, from_attributes=True)


def _opened(mailbox: Mailbox) -> AccountOpened:
    calendars = [calendar_shown(mailbox, calendar) for calendar in mailbox.calendars.values()]
    return AccountOpened(**_shown(mailbox.account).model_dump(), calendars=calendars)
