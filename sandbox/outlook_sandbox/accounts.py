"""The people of this Microsoft: who may be picked on the sign-in page. There are no passwords here."""

import uuid
from datetime import UTC, datetime
from typing import Literal

import msgspec

from outlook_sandbox.database import Database

PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"

KIND = "account"
USE = "account-use"

Kind = Literal["personal", "work"]


class Account(msgspec.Struct, frozen=True):
    """One Microsoft account; `id` is its oid, `tid` its tenant. Its mailbox begins with `events` made-up events around `since`.

    An `admin` may consent for the whole tenant; who is `disabled` can neither sign in nor refresh (AADSTS50057).
    """

    id: str
    tid: str
    username: str
    name: str
    kind: Kind
    events: int = 0
    since: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    admin: bool = False
    disabled: bool = False

    @property
    def domain(self) -> str:
        return self.username.casefold().rpartition("@")[2]


def new_account(
    kind: Kind,
    username: str,
    name: str,
    tid: str | None = None,
    *,
    admin: bool = False,
    events: int = 0,
    since: datetime | None = None,
) -> Account:
    """An account with an id of its own; without `tid`, a work account gets a tenant of its own too."""
    if kind == "personal":
        tail = uuid.uuid4().hex[:16]
        identifier, tid = f"00000000-0000-0000-{tail[:4]}-{tail[4:]}", PERSONAL_TENANT
    else:
        identifier, tid = str(uuid.uuid4()), tid or str(uuid.uuid4())
    return Account(identifier, tid, username, name, kind, events, since or datetime.now(UTC), admin)


class Accounts:
    """Accounts by id and by user name, and when each was last picked on the sign-in page.

    `tenants` has the domain of each tenant's first account by the tenant's id.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._accounts: dict[str, Account] = {}
        self._names: dict[str, str] = {}
        self.tenants: dict[str, str] = {}
        for document in database.load(KIND).values():
            self._keep(msgspec.convert(document, Account))
        self._used = {identifier: document["at"] for identifier, document in database.load(USE).items()}

    def all(self) -> list[Account]:
        return sorted(self._accounts.values(), key=lambda account: account.username)

    def get(self, identifier: str) -> Account | None:
        return self._accounts.get(identifier)

    def named(self, username: str) -> Account | None:
        return self._accounts.get(self._names.get(username.casefold(), ""))

    def add(self, account: Account) -> Account:
        """Take an account in, or what has become of it: one of the same id is replaced."""
        before = self._accounts.get(account.id)
        if before is not None:
            self._names.pop(before.username.casefold(), None)
        self._keep(account)
        self._database.put(KIND, account.id, account)
        return account

    def remove(self, identifier: str) -> Account | None:
        """The account that is gone, if there was one; its tenant stays."""
        account = self._accounts.pop(identifier, None)
        if account is not None:
            self._names.pop(account.username.casefold(), None)
            self._used.pop(identifier, None)
            self._database.delete(KIND, identifier)
            self._database.delete(USE, identifier)
        return account

    def use(self, account: Account, now: datetime) -> None:
        self._used[account.id] = now.isoformat()
        self._database.put(USE, account.id, {"at": self._used[account.id]})

    def last_used_first(self) -> list[Account]:
        return sorted(self.all(), key=lambda account: self._used.get(account.id, ""), reverse=True)

    def clear(self) -> None:
        self._accounts.clear()
        self._names.clear()
        self.tenants.clear()
        self._used.clear()
        self._database.clear(KIND)
        self._database.clear(USE)

    def _keep(self, account: Account) -> None:
        self._accounts[account.id] = account
        self._names[account.username.casefold()] = account.id
        if account.kind == "work":
            self.tenants.setdefault(account.tid, account.domain)
