"""Runners: they claim marks and do the work, outside every Kafka partition, some at a time.

A runner looks when it is woken (by a handler of its own process) and every `look_every` seconds (for what other
replicas marked, and for what is due again). Its only clock is the one that it is given.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from common import telemetry
from common.errors import AttendaraError
from common.marks import Claim, Marks
from common.tasks import end

log = structlog.get_logger()

Clock = Callable[[], datetime]
Work = Callable[[Claim, datetime], Awaitable[datetime | None]]
"""Does one claimed piece of work; returns when it is due again, or None. Raises to have it tried again later."""

GIVING_BACK_SECONDS = 2.0
"""A process that ends doesn't wait for a store that is away."""


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Runner:
    """Does the work of one kind of mark, at most `at_once` pieces at a time in this process."""

    name: str
    marks: Marks
    work: Work
    at_once: int
    clock: Clock = utc_now
    look_every: float = 0.5
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        self._wake.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs until left; work in hand is then cancelled and given back, so that another process takes it up."""
        task = asyncio.create_task(self._run(), name=self.name)
        try:
            yield
        finally:
            await end(task)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            free = asyncio.Semaphore(self.at_once)
            while True:
                await free.acquire()
                claim = await self._next()
                group.create_task(self._do(claim, free), name=f"{self.name} {claim.id}")

    async def _next(self) -> Claim:
        while True:
            self._wake.clear()
            try:
                claim = await self.marks.claim(self.clock())
            except Exception as error:  # the store may be away for long: look again, whatever it was
                log.warning("can't look for work", runner=self.name, error=repr(error)[:200])
                await asyncio.sleep(self.look_every)
                continue
            if claim:
                return claim
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self.look_every)

    async def _do(self, claim: Claim, free: asyncio.Semaphore) -> None:
        try:
            parent, *links = claim.traces or [{}]
            attributes: dict[str, str | int | bool] = {"attendara.id": str(claim.id), "attendara.attempt": claim.attempts + 1}
            with telemetry.span(self.name, parent=parent, links=links, attributes=attributes):
                async with self._kept(claim):
                    await self._try(claim)
        except asyncio.CancelledError:
            await self._give_back(claim)
            raise
        except Exception as error:  # the mark could not even be settled: its lease brings it back
            log.warning("work left to its lease", runner=self.name, id=claim.id, error=repr(error)[:200])
        finally:
            free.release()

    async def _give_back(self, claim: Claim) -> None:
        with suppress(Exception):  # its lease brings it back
            async with asyncio.timeout(GIVING_BACK_SECONDS):
                await self.marks.give_back(claim, self.clock())
            log.info("work given back", runner=self.name, id=claim.id)

    @asynccontextmanager
    async def _kept(self, claim: Claim) -> AsyncIterator[None]:
        """The lease lasts as long as the work, and little longer than this process."""
        task = asyncio.create_task(self._extend(claim), name=f"{self.name} lease {claim.id}")
        try:
            yield
        finally:
            await end(task)

    async def _extend(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(self.marks.lease.total_seconds() / 3)
            try:
                await self.marks.extend(claim, self.clock())
            except Exception as error:
                log.warning("lease not extended", runner=self.name, id=claim.id, error=repr(error)[:200])

    async def _try(self, claim: Claim) -> None:
        try:
            again_at = await self.work(claim, self.clock())
        except Exception as error:
            retry_at = await self.marks.failed(claim, error, self.clock())
            level = log.warning if isinstance(error, AttendaraError) else log.exception
            level(
                "work failed",
                runner=self.name,
                id=claim.id,
                attempt=claim.attempts + 1,
                retry_at=str(retry_at),
                error=str(error),
            )
            telemetry.count("work_done", runner=self.name, outcome="failed")
        else:
            await self.marks.done(claim, self.clock(), again_at=again_at)
            telemetry.count("work_done", runner=self.name, outcome="done")


@asynccontextmanager
async def all_running(parts: Sequence[object]) -> AsyncIterator[None]:
    """Enters the `running()` of each part in order, and leaves them in the reverse order."""
    async with AsyncExitStack() as stack:
        for part in parts:
            await stack.enter_async_context(part.running())  # type: ignore[attr-defined]
        yield


async def every(seconds: float, job: Callable[[], Awaitable[object]], name: str) -> None:
    """Calls `job` now and then every `seconds` after it ended; a failure is logged and the next turn comes all the same."""
    while True:
        try:
            await job()
        except Exception as error:
            log.warning("periodic job failed", job=name, error=repr(error)[:300])
        await asyncio.sleep(seconds)


@dataclass
class Periodic:
    """A job of a service's own clock, e.g. a sweep."""

    name: str
    job: Callable[[], Awaitable[object]]
    seconds: float

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(every(self.seconds, self.job, self.name), name=self.name)
        try:
            yield
        finally:
            await end(task)


@dataclass
class Once:
    """A job that must be done once per start, tried until it is: making indexes while MongoDB isn't there yet, for one."""

    name: str
    job: Callable[[], Awaitable[object]]
    done: bool = False
    last_error: str = ""

    async def readiness(self) -> str | None:
        return None if self.done else f"{self.name}: {self.last_error or 'not done yet'}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._try(), name=self.name)
        try:
            yield
        finally:
            await end(task)

    async def _try(self) -> None:
        while not self.done:
            try:
                await self.job()
                self.done = True
            except Exception as error:
                self.last_error = repr(error)[:200]
                log.warning("will be tried again", job=self.name, error=self.last_error)
                await asyncio.sleep(1)
