"""How fast an address answered lately, and what Graph therefore does with new notifications for it.

Microsoft's text of 2026-04: `slow` once more than 10% of responses take longer than 3 seconds in a 10-minute window, new
notifications are then delayed by 10 minutes; `drop` once more than 15% take longer than 10 seconds, new ones are then
dropped for 10 minutes, then probes are sent. How many responses a percentage needs is not said.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

State = Literal["normal", "slow", "drop", "probe"]
WINDOW = timedelta(minutes=10)
SLOW_SHARE = 0.10
DROP_SHARE = 0.15
LEAST_RESPONSES = 10
MOST_RESPONSES = 10_000
POSTS_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that Graph waits for an answer: to a first try, to a later one, to a handshake. The first two are also what
    counts as slow and as late."""

    first: float = 3.0
    later: float = 10.0
    handshake: float = 10.0


@dataclass(frozen=True, slots=True)
class EndpointShown:
    """`until` is when a state other than normal is looked at again. `posts` have ended since the sandbox started; the
    responses are those of the last ten minutes; `held` are those of `waiting` that wait for a fresh token."""

    address: str
    state: State
    until: datetime | None
    posts: int
    responses: int
    slow: int
    late: int
    waiting: int
    held: int


class Endpoint:
    """One address. `lost` are the subscriptions of which a notification for it was dropped."""

    def __init__(self, address: str, patience: Patience) -> None:
        self.address = address
        self.posts = 0
        self.lost: set[str] = set()
        self.slots = asyncio.Semaphore(POSTS_AT_ONCE)
        self._patience = patience
        self._state: State = "normal"
        self._until: datetime | None = None
        self._responses: deque[tuple[datetime, bool, bool]] = deque()
        self._slow = 0
        self._late = 0

    def state(self, now: datetime) -> State:
        """As it is now: a state whose ten minutes are over, or which a clock that was put back left in the future, is looked
        at again."""
        self._forget(now)
        if self._until is not None and not now < self._until <= now + WINDOW:
            if self._state == "drop":
                self._state, self._until = "probe", None
            else:
                self._enter(self._judged(), now)
        return self._state

    def opens(self, now: datetime) -> float:
        """Seconds until anything may be posted."""
        return (self._until - now).total_seconds() if self.state(now) == "drop" and self._until else 0.0

    def delay(self, now: datetime) -> float:
        """Seconds that a new notification has to wait."""
        return WINDOW.total_seconds() if self.state(now) == "slow" else 0.0

    def note(self, now: datetime, seconds: float) -> None:
        """A response came, or was given up, after so many seconds. The first one after a drop decides alone."""
        state = self.state(now)
        slow, late = seconds >= self._patience.first, seconds >= self._patience.later
        if state == "probe":
            self._responses.clear()
            self._slow = self._late = 0
        self._responses.append((now, slow, late))
        self._slow += slow
        self._late += late
        if state == "probe":
            self._enter("drop" if late else "normal", now)
        elif state == "normal" or (state == "slow" and self._judged() == "drop"):
            self._enter(self._judged(), now)

    def shown(self, now: datetime, waiting: int, held: int) -> EndpointShown:
        state = self.state(now)
        counts = (self.posts, len(self._responses), self._slow, self._late, waiting, held)
        return EndpointShown(self.address, state, self._until, *counts)

    def forgettable(self, now: datetime) -> bool:
        return self.state(now) == "normal" and not self.lost and not self._responses

    def _enter(self, state: State, now: datetime) -> None:
        self._state = state
        self._until = None if state == "normal" else now + WINDOW

    def _judged(self) -> State:
        responses = len(self._responses)
        if responses < LEAST_RESPONSES:
            return "normal"
        if self._late > DROP_SHARE * responses:
            return "drop"
        return "slow" if self._slow > SLOW_SHARE * responses else "normal"

    def _forget(self, now: datetime) -> None:
        while self._responses and (abs(now - self._responses[0][0]) >= WINDOW or len(self._responses) > MOST_RESPONSES):
            _, slow, late = self._responses.popleft()
            self._slow -= slow
            self._late -= late
