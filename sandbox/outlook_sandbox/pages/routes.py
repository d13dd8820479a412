"""The pages' doors. The calendar page works through Graph's own REST API; only its token comes from here."""

import asyncio
import hashlib
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict

from outlook_sandbox import html
from outlook_sandbox.accounts import Account
from outlook_sandbox.html import page
from outlook_sandbox.identity.apps import OUTLOOK_APP
from outlook_sandbox.identity.tokens import ACCESS_LIFETIME
from outlook_sandbox.state import sandbox_of

LOOK_EVERY = 0.1
LOOKS = 15  # together less than an ending sandbox waits for its requests
SCOPES = frozenset({"Calendars.ReadWrite", "MailboxSettings.ReadWrite", "User.Read"})

router = APIRouter(include_in_schema=False)
router.include_router(html.router)


class TokenWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    account: str


@router.get("/")
async def index() -> Response:
    return page("pages/index.html")


@router.get("/outlook")
async def outlook(request: Request, account: str = "") -> Response:
    """The calendar of one account, named by its user name; of the first one if none is named."""
    accounts = sandbox_of(request).accounts
    chosen = accounts.named(account) if account else next(iter(accounts.all()), None)
    return page("pages/outlook.html", chosen=chosen)


@router.get("/sandbox")
async def console() -> Response:
    """What can be done to this Microsoft from behind; all of it through `/sandbox/v1`."""
    return page("pages/console.html")


@router.post("/outlook/token")
async def token(request: Request, wanted: TokenWanted) -> dict[str, Any]:
    """An access token of Outlook's own, first-party app for the account."""
    account = _account(request, wanted.account)
    issued = sandbox_of(request).tokens.issue(account.id, OUTLOOK_APP, SCOPES)
    return {"access_token": issued.access_token, "expires_in": int(ACCESS_LIFETIME.total_seconds())}


@router.get("/outlook/version")
async def version(request: Request, account: str, seen: str = "") -> dict[str, str]:
    """A text that differs whenever something in the account's mailbox has changed; waits a while for one other than `seen`."""
    for _ in range(LOOKS):
        if _version(request, account) != seen:
            break
        await asyncio.sleep(LOOK_EVERY)
    return {"version": _version(request, account)}


def _version(request: Request, account: str) -> str:
    mailbox = sandbox_of(request).mailboxes.of(_account(request, account))
    colors = ",".join(f"{category.name}={category.color}" for category in mailbox.categories.values())
    return hashlib.sha256(f"{mailbox.key} {colors}".encode()).hexdigest()[:16]


def _account(request: Request, identifier: str) -> Account:
    account = sandbox_of(request).accounts.get(identifier)
    if account is None:
        raise HTTPException(404, "There is no such account.")
    return account
