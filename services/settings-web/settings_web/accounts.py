"""What a connected account's row says: its state, the reason in plain words, and what to do next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from common.store import Connection
from settings_web.reasons import STATES, why
from settings_web.rows import Row

AccountState = Literal["active", "catching-up", "needs-reconnect", "needs-admin-consent", "removing"]

PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""Of every personal Microsoft account (learn.microsoft.com/entra/identity-platform/id-token-claims-reference)."""


@dataclass(frozen=True)
class Account:
    """One connection of the page and of the API. `reason` and `next_step` are empty while all is well."""

    connection: Connection
    state: AccountState
    reason: str = ""
    next_step: str = ""

    @property
    def state_text(self) -> str:
        return STATES[self.state]

    @property
    def since(self) -> datetime:
        return self.connection.since

    @property
    def busy(self) -> bool:
        return self.state in ("catching-up", "removing")


def accounts(connections: Sequence[Connection], calendars: Sequence[Row]) -> list[Account]:
    """`calendars`: those of all these connections, as their own page shows them."""
    return [account(one, [row for row in calendars if row.connection == one.id]) for one in connections]


def account(connection: Connection, calendars: Sequence[Row]) -> Account:
    match connection.state:
        case "needs-reconnect" | "needs-admin-consent" as state:
            reason, next_step = why(connection)
            return Account(connection, state, reason, next_step)
        case "removing" | "removed":
            reason = "Attendara is deleting what it has of this account: a quarter of an hour at most."
            return Account(connection, "removing", reason, "Connect it as new if it is needed again.")
    behind = [row.name for row in calendars if row.behind]
    if behind:
        reason = f"Connected again. Being brought up to date: {_listed(behind)}."
        return Account(connection, "catching-up", reason, "Nothing needs to be done.")
    return Account(connection, "active")


def is_personal(connection: Connection) -> bool:
    return connection.tid == PERSONAL_TENANT


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{len(names)} calendars"
