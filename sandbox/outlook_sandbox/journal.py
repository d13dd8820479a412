"""What the sandbox was asked, newest last, for tests and curious people; kept in memory and bounded."""

from collections import deque
from collections.abc import Iterable
from datetime import datetime

import msgspec

KEPT = 20_000
BODY_KEPT = 4_000


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request and how it was answered; `took_ms` includes the client's own slowness in sending it."""

    number: int
    at: datetime
    method: str
    path: str
    query: str
    status: int
    took_ms: float
    account: str | None = None
    app: str | None = None
    headers: dict[str, str] = {}
    body: str | None = None
    batch: bool = False


class Journal:
    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._number = 0

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)

    def entries(self, since: int = 0) -> Iterable[Entry]:
        return [entry for entry in self._entries if entry.number > since]

    def clear(self) -> None:
        self._entries.clear()
