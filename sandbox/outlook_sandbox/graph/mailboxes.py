"""Every account's mailbox, each opened when it is first asked for."""

from collections.abc import Callable

from outlook_sandbox.accounts import Account
from outlook_sandbox.clock import Clock
from outlook_sandbox.database import Database
from outlook_sandbox.graph.mailbox import KINDS, Change, Mailbox
from outlook_sandbox.graph.model import Event


class Mailboxes:
    """Every account's mailbox, by account id. One is read, or made and filled, when somebody first opens it: thousands that
    nobody opens cost nothing."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        tell: Callable[[Change], None],
        first: Callable[[Mailbox], list[Event]] = lambda _: [],
    ) -> None:
        self._database = database
        self._clock = clock
        self._tell = tell
        self._first = first
        self._mailboxes: dict[str, Mailbox] = {}
        _divide(database)

    def of(self, account: Account) -> Mailbox:
        mailbox = self._mailboxes.get(account.id)
        if mailbox is None:
            mailbox = self._mailboxes[account.id] = Mailbox(account, self._database, self._clock, self._tell)
            mailbox.open(self._first)
        return mailbox

    def remove(self, account: Account) -> None:
        """All of the account's, without a word."""
        mailbox = self._mailboxes.pop(account.id, None)
        if mailbox is not None:
            mailbox.close()
        for kind in KINDS:
            self._database.clear(f"{kind} {account.id}")

    def clear(self) -> None:
        for mailbox in self._mailboxes.values():
            mailbox.close()
        self._mailboxes.clear()
        for kind in KINDS:
            self._database.clear(kind)


def _divide(database: Database) -> None:
    """Give each mailbox the kinds of its own that data of the first version lacks."""
    owners = {identifier: document["account"] for identifier, document in database.load("calendar").items()}
    for kind in KINDS if owners else ():
        for identifier, document in database.load(kind).items():
            owner = document.get("account") or owners.get(document["calendar"])
            if owner:
                database.put(f"{kind} {owner}", identifier, document)
            database.delete(kind, identifier)
