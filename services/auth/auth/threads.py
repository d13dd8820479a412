"""Threads for calls that block: so many at once, apart from asyncio's own few, which one slow far side would use up."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from common.errors import Transient

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_SECONDS = 10.0
"""How long a call waits for a thread."""


class Threads:
    """`at_once` threads, made when they are needed."""

    def __init__(self, name: str, at_once: int) -> None:
        self._name = name
        self._free = asyncio.Semaphore(at_once)
        self._pool = ThreadPoolExecutor(at_once, name)

    async def run(self, work: Callable[P, T], *args: P.args, **rest: P.kwargs) -> T:
        """Raises Transient when none gets free; else what `work` raises."""
        try:
            await asyncio.wait_for(self._free.acquire(), PATIENCE_SECONDS)
        except TimeoutError:
            raise Transient(f"all threads for {self._name} are busy", reason="microsoft-slow") from None
        try:
            context = contextvars.copy_context()
            return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: context.run(work, *args, **rest))
        finally:
            self._free.release()
