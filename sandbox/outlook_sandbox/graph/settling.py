"""What Exchange does to a new event by itself: some seconds after its creation it writes it once more.

With that the event's change key moves, so that an If-Match with the first one fails, and the second notification goes out.
"""

import asyncio
from collections import deque
from datetime import datetime, timedelta

from outlook_sandbox.clock import Clock
from outlook_sandbox.graph.mailbox import Mailbox
from outlook_sandbox.graph.model import Event


class Settling:
    """Writes each new event again `seconds` after it was made, by the sandbox's clock; with 0 seconds it is off, and false."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._delay = timedelta(seconds=seconds)
        self._waiting: deque[tuple[datetime, Mailbox, Event]] = deque()
        self._task: asyncio.Task[None] | None = None

    def __bool__(self) -> bool:
        return bool(self._delay)

    def add(self, mailbox: Mailbox, event: Event) -> None:
        self._waiting.append((self._clock.now() + self._delay, mailbox, event))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._settle())

    def clear(self) -> None:
        """Forget the events that have not settled."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def stop(self) -> None:
        """Settle what has not at once: the next start would know nothing of it."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        while self._waiting:
            self._settle_next()

    async def _settle(self) -> None:
        while self._waiting:
            due, _, _ = self._waiting[0]
            # Not longer than the delay: the clock may have been put back.
            await self._clock.sleep(min(due - self._clock.now(), self._delay).total_seconds())
            self._settle_next()

    def _settle_next(self) -> None:
        _, mailbox, event = self._waiting.popleft()
        if mailbox.events.get(event.id) is event:
            mailbox.update(event)
