"""The gateway when it is told to drain, or to end: what it has taken in is published and answered."""

import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import httpx2

from tests.integration.gateway_process import Gateway, gateway_process
from tests.integration.gateway_world import HANDSHAKE, NOTIFICATIONS, Broker, Line, body
from tests.serving import until


@asynccontextmanager
async def in_flight(process: Gateway, names: Sequence[str]) -> AsyncIterator[list[Line]]:
    """Posts that were sent and taken in: whatever was sent after them has been answered."""
    async with AsyncExitStack() as leaving:
        lines = [await leaving.enter_async_context(Line.to(process.url)) for _ in names]
        for line, name in zip(lines, names, strict=True):
            whole = body(name)
            line.begin(len(whole))
            line.send(whole)
        other = await leaving.enter_async_context(Line.to(process.url))
        for _ in range(3):
            other.begin(0, HANDSHAKE)
            assert await other.answer() == (200, ANY)
            await other.rest(len("hello"))
        yield lines


async def draining(process: Gateway) -> int:
    """How many posts were in flight when it began to."""
    told: list[dict[str, Any]] = await until(lambda: [entry for entry in process.logged() if entry["event"] == "draining"])
    return int(told[0]["posts_in_flight"])


async def test_told_to_drain_it_finishes_what_it_has_takes_nothing_new_and_lives_on(broker: Broker, tmp_path: Path) -> None:
    names = [f"drained-{number}" for number in range(4)]
    async with (
        gateway_process(tmp_path, broker.kafka) as process,
        httpx2.AsyncClient(base_url=process.url, trust_env=False, timeout=20) as http,
    ):
        broker.hold()
        async with in_flight(process, names) as lines:
            process.send(signal.SIGUSR1)
            assert await draining(process) == len(names)
            refused, shaken = await http.post(NOTIFICATIONS, content=body("new")), await http.post(HANDSHAKE)
            broker.release()
            finished = [(await line.answer())[0] for line in lines]
        ready, alive = await http.get("/readyz"), await http.get("/livez")

        assert (refused.status_code, refused.headers["retry-after"], refused.headers["connection"]) == (503, "5", "close")
        assert (shaken.status_code, shaken.text) == (200, "hello")
        assert finished == [202] * len(names)
        assert (ready.status_code, ready.json()) == (503, {"status": "not ready", "intake": "draining"})
        assert alive.status_code == 200
    await broker.has(names)


async def test_told_to_end_it_finishes_what_it_has(broker: Broker, tmp_path: Path) -> None:
    names = [f"ended-{number}" for number in range(4)]
    async with gateway_process(tmp_path, broker.kafka) as process:
        broker.hold()
        async with in_flight(process, names) as lines:
            process.send(signal.SIGTERM)
            assert await draining(process) == len(names)
            broker.release()
            assert [(await line.answer())[0] for line in lines] == [202] * len(names)
        assert await process.ended() == 0
    assert [entry for entry in process.logged() if entry["level"] not in ("info", "warning")] == []
    await broker.has(names)
