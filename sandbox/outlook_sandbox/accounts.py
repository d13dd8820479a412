"""The people of this Microsoft: who may be picked on the sign-in page. There are no passwords here."""

import uuid
from datetime import UTC, datetime
from typing import Literal

import msgspec

from outlook_sandbox.database import Database

PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"

Kind = Literal["personal", "work"]


class Account(msgspec.Struct, frozen=True):
    """One Microsoft account; `id` is its oid, `tid` its tenant. Its mailbox begins with `events` made-up events around `since`."""

    id: str
    tid: str
    username: str
    name: str
    kind: Kind
    events: int = 0
    since: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))


def new_account(kind: Kind, username: str, name: str, tid: str | None = None, events: int = 0) -> Account:
    if kind == "personal":
        tail = uuid.uuid4().hex[:16]
        return Account(f"00000000-0000-0000-{tail[:4]}-{tail[4:]}", PERSONAL_TENANT, username, name, kind, events)
    return Account(str(uuid.uuid4()), tid or str(uuid.uuid4()), username, name, kind, events)


class Accounts:
    """Accounts by id and by user name."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._accounts = {
            identifier: msgspec.convert(document, Account) for identifier, document in database.load("account").items()
        }

    def all(self) -> list[Account]:
        return sorted(self._accounts.values(), key=lambda account: account.username)

    def get(self, identifier: str) -> Account | None:
        return self._accounts.get(identifier)

    def named(self, username: str) -> Account | None:
        wanted = username.casefold()
        return next((account for account in self._accounts.values() if account.username.casefold() == wanted), None)

    def add(self, account: Account) -> Account:
        self._accounts[account.id] = account
        self._database.put("account", account.id, account)
        return account

    def clear(self) -> None:
        self._accounts.clear()
        self._database.clear("account")
