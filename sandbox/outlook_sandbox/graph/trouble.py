"""What the faults that are on do to one request at Graph's door."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from outlook_sandbox.clock import Clock
from outlook_sandbox.cut import ConnectionCut
from outlook_sandbox.faults import Conflict, Cut, ErrorAnswer, Faults, Garbage, GraphFault, Slow, Throttled
from outlook_sandbox.graph.errors import GraphError, stale_change_key, throttled
from outlook_sandbox.graph.operations import Answer

Chosen = TypeVar("Chosen", bound=GraphFault)
PROXY_PAGE = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Trouble:
    """The faults that may strike a request. What ends a connection, or spoils what goes over it, leaves the requests inside
    a `$batch` alone; what Exchange refuses leaves the batch itself alone."""

    faults: Faults
    clock: Clock
    account: str
    app: str
    method: str
    path: str
    in_batch: bool

    async def strike(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Have the work done, or not. Raises GraphError as a fault wants it, ConnectionCut if there is to be no answer."""
        cut = None if self.in_batch else self._struck(Cut)
        if cut is not None and not cut.after:
            raise ConnectionCut
        self._refuse()
        slow = self._struck(Slow)
        if slow is not None:
            await self.clock.sleep(slow.seconds)
        try:
            return await work()
        finally:
            if cut is not None:
                raise ConnectionCut

    def spoiled(self, answer: Answer) -> Answer:
        """The answer as it arrives: usually as it was given."""
        garbage = None if self.in_batch else self._struck(Garbage)
        if garbage is None:
            return answer
        if garbage.shape == "html":
            return Answer(garbage.status, PROXY_PAGE, {"Content-Type": "text/html"})
        whole = msgspec.json.encode(answer.body)
        return Answer(garbage.status, whole[: len(whole) // 2], answer.headers)

    def _refuse(self) -> None:
        if error := self._struck(ErrorAnswer):
            headers = {} if error.retry_after is None else {"Retry-After": error.retry_after}
            raise GraphError(error.status, error.code, error.message, headers)
        if self.path == "/$batch":
            return
        if refusal := self._struck(Throttled):
            raise throttled(retry_after=refusal.retry_after, status=refusal.status)
        if self._struck(Conflict):
            raise stale_change_key()

    def _struck(self, kind: type[Chosen]) -> Chosen | None:
        return self.faults.strike(kind, self.account, self.app, self.method, self.path)
