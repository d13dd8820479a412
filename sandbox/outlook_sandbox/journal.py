"""What the sandbox was asked, newest last, for tests and curious people; kept in memory and bounded."""

import time
from collections import deque
from collections.abc import Iterable
from datetime import datetime

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outlook_sandbox.clock import Clock

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


class Journaled:
    """Notes each request that Graph's door does not note itself: sign-in, tokens, pages. Queries stay out: they may
    hold codes."""

    def __init__(self, app: ASGIApp, journal: Journal, clock: Clock) -> None:
        self._app = app
        self._journal = journal
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(("/v1.0/", "/sandbox/", "/readyz", "/livez")):
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            took = round((time.perf_counter() - began) * 1000, 3)
            number, now = self._journal.next_number(), self._clock.now()
            self._journal.add(Entry(number, now, scope["method"], scope["path"], "", status, took))
