"""Many deadlines of one length, for less than a timer each."""

import asyncio
from typing import Protocol

LOOK_EVERY = 0.1


class Mortal(Protocol):
    def late(self) -> None: ...


class Deadlines:
    """Who isn't taken back within `seconds` is told that it is late, at most LOOK_EVERY after that. Belongs to one event loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began: dict[Mortal, float] = {}
        self._looking = False

    def set(self, one: Mortal) -> None:
        loop = asyncio.get_running_loop()
        self._began[one] = loop.time()
        if not self._looking:
            self._looking = True
            loop.call_later(LOOK_EVERY, self._look)

    def take_back(self, one: Mortal) -> None:
        self._began.pop(one, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        for one, began in list(self._began.items()):  # the oldest come first
            if loop.time() - began < self._seconds:
                break
            del self._began[one]
            one.late()
        self._looking = bool(self._began)
        if self._looking:
            loop.call_later(LOOK_EVERY, self._look)
