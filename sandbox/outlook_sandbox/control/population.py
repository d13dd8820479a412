"""Many mailboxes by one call, for tests of scale."""

import uuid

from fastapi import APIRouter, HTTPException

from outlook_sandbox.accounts import new_account
from outlook_sandbox.control.finding import TheSandbox
from outlook_sandbox.control.models import Inhabitant, Populated, Population
from outlook_sandbox.control.problems import refusals

router = APIRouter(tags=["accounts"])


@router.post("/population", status_code=201, responses=refusals(409))
async def populate(sandbox: TheSandbox, wanted: Population) -> Populated:
    """A tenant full of accounts, each with as many made-up events. A mailbox is filled when somebody first opens it, always
    with the same events."""
    names = [f"person{number}@{wanted.domain}" for number in range(1, wanted.mailboxes + 1)]
    taken = next((name for name in names if sandbox.accounts.named(name)), None)
    if taken:
        raise HTTPException(409, f"There is an account named {taken} already.")
    tid, scopes, now = str(uuid.uuid4()), frozenset(wanted.scopes), sandbox.clock.now()
    people = []
    for number, name in enumerate(names, start=1):
        account = sandbox.accounts.add(new_account("work", name, f"Person {number}", tid, events=wanted.events, since=now))
        token = sandbox.tokens.issue(account.id, wanted.app, scopes).access_token if wanted.app else None
        people.append(Inhabitant(id=account.id, username=name, access_token=token))
    return Populated(tid=tid, accounts=people)
