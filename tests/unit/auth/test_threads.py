"""Calls that block: so many at once, and none that waits for ever."""

import asyncio
import threading

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, get_current_span, use_span

from auth import threads
from auth.threads import Threads
from common.errors import Transient
from tests.serving import until


async def test_so_many_run_at_once_and_the_others_wait_their_turn() -> None:
    pool, go_on = Threads("tests", 3), threading.Event()
    running, most, guard = 0, 0, threading.Lock()

    def work(number: int) -> int:
        nonlocal running, most
        with guard:
            running, most = running + 1, max(most, running + 1)
        assert go_on.wait(10)
        with guard:
            running -= 1
        return number

    asked = [asyncio.create_task(pool.run(work, number)) for number in range(10)]
    await until(lambda: running == 3)
    go_on.set()

    assert await asyncio.gather(*asked) == list(range(10))
    assert most == 3


async def test_who_waits_too_long_for_a_thread_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PATIENCE_SECONDS", 0.01)
    pool, go_on = Threads("tests", 1), threading.Event()
    busy = asyncio.create_task(pool.run(go_on.wait, 10))
    await asyncio.sleep(0)

    with pytest.raises(Transient, match="all threads for tests are busy"):
        await pool.run(int)

    go_on.set()
    assert await busy
    assert await pool.run(int, "7") == 7


async def test_a_failure_gives_the_thread_back() -> None:
    pool = Threads("tests", 1)
    for _ in range(3):
        with pytest.raises(ValueError, match="no number"):
            await pool.run(int, "no number")
    assert await pool.run(int, "7") == 7


async def test_a_thread_goes_on_with_the_callers_trace() -> None:
    current = SpanContext(0xABC, 0xDEF, is_remote=False)
    with use_span(NonRecordingSpan(current)):
        assert await Threads("tests", 1).run(get_current_span) is not None
        found = await Threads("tests", 1).run(lambda: get_current_span().get_span_context().trace_id)
    assert found == 0xABC
