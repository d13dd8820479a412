"""The sandbox's own time: the real one plus an offset that tests may move forward; it is kept over restarts."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

from outlook_sandbox.database import Database

KIND = "clock"


class Clock:
    """Says what time it is, and wakes those who wait for a time; `advance` moves every part of the sandbox together."""

    def __init__(self, database: Database | None = None) -> None:
        self._database = database or Database()
        stored = self._database.load(KIND).get("offset", {})
        self._offset = timedelta(seconds=stored.get("seconds", 0))
        self._moved: asyncio.Event | None = None

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def advance(self, by: timedelta) -> None:
        """Move all time forward; who sleeps past the new time wakes."""
        self._set(self._offset + by)

    def clear(self) -> None:
        """Back to the real time."""
        self._set(timedelta(0))

    async def sleep(self, seconds: float) -> None:
        """Wait for so much of the sandbox's time, which an advance can make very short. Putting the clock back doesn't make
        it longer."""
        while seconds > 0:
            began = self.now()
            if self._moved is None:
                self._moved = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._moved.wait()
            seconds -= max((self.now() - began).total_seconds(), 0)

    def _set(self, offset: timedelta) -> None:
        self._offset = offset
        self._database.put(KIND, "offset", {"seconds": offset.total_seconds()})
        if self._moved is not None:
            self._moved.set()
            self._moved = None
