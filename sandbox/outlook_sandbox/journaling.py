"""Notes in the journal what is asked of other doors than Graph's, which notes it itself: sign-in, tokens, pages."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outlook_sandbox.clock import Clock
from outlook_sandbox.cut import ConnectionCut
from outlook_sandbox.journal import NO_ANSWER, Entry, Journal

# Also not noted: the pages' files, and the calendar page's asking whether anything is new.
QUIET = ("/sandbox/", "/assets/", "/outlook/version", "/readyz", "/livez")
NOTED = "sandbox.noted"


class Journaled:
    """Passes requests on, and notes each once it is answered."""

    def __init__(self, app: ASGIApp, journal: Journal, clock: Clock) -> None:
        self._app = app
        self._journal = journal
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(QUIET):
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500
        noted: dict[str, str] = {}
        scope[NOTED] = noted

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except ConnectionCut:
            status = NO_ANSWER
            raise
        finally:
            took = round((time.perf_counter() - began) * 1000, 3)
            number, now = self._journal.next_number(), self._clock.now()
            known = (noted.get("account"), noted.get("app"))
            self._journal.add(Entry(number, now, scope["method"], scope["path"], "", status, took, *known))


def note(scope: Scope, **known: str) -> None:
    """Add to the entry of the request that is being answered whose it is: its `account`, its `app`."""
    scope.get(NOTED, {}).update(known)
