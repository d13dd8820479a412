"""What the sandbox was asked, newest last, for tests and curious people; kept in memory and bounded.

No secret comes in: no Authorization header, and of requests that carry codes, tokens or client secrets neither query nor body.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from pydantic import Field

KEPT = 20_000
BODY_KEPT = 4_000
NO_ANSWER = 0
_SECRET = re.compile(r'("authorization"\s*:\s*")[^"]*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One request and how it was answered."""

    number: int
    at: Annotated[datetime, Field(description="by the sandbox's clock")]
    method: str
    path: Annotated[str, Field(description="as it was sent", examples=["/v1.0/me/events"])]
    query: Annotated[str, Field(description="of requests to Graph only")]
    status: Annotated[int, Field(description="0 if a fault ended the connection without an answer")]
    took_ms: Annotated[float, Field(description="with the client's own slowness in sending it")]
    account: Annotated[str | None, Field(description="the id of the account")] = None
    app: Annotated[str | None, Field(description="the client id of the app")] = None
    headers: Annotated[dict[str, str], Field(description="those worth keeping, of requests to Graph")] = field(default_factory=dict)
    body: Annotated[str | None, Field(description="its beginning, of requests to Graph")] = None
    batch: Annotated[bool, Field(description="it came inside a $batch, which has an entry of its own")] = False


class Journal:
    """The newest entries, and who waits for one."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._number = 0
        self._awaited: dict[asyncio.Future[None], Callable[[Entry], bool]] = {}

    @property
    def last(self) -> int:
        """The number of the newest entry; they count from 1, over resets too."""
        return self._number

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        for future, wanted in self._awaited.items():
            if not future.done() and wanted(entry):
                future.set_result(None)

    def entries(self, since: int = 0) -> list[Entry]:
        return [entry for entry in self._entries if entry.number > since]

    async def wait(self, wanted: Callable[[Entry], bool], seconds: float) -> None:
        """Until an entry that is wanted comes, or so much real time has passed."""
        future = asyncio.get_running_loop().create_future()
        self._awaited[future] = wanted
        try:
            await asyncio.wait([future], timeout=seconds)
        finally:
            del self._awaited[future]

    def clear(self) -> None:
        self._entries.clear()


def kept(body: bytes) -> str | None:
    """As much of a request's body as the journal keeps; a batch may hold headers that are nobody's business."""
    return _SECRET.sub(r"\1…", body[:BODY_KEPT].decode(errors="replace")) or None
