"""Marks on a real MongoDB: a wish is done once, never lost, and by one at a time."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from common.errors import Throttled, Transient
from common.marks import LONGEST_WAIT, Claim, Marks

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


@pytest.fixture
async def marks(database: AsyncDatabase[dict[str, Any]]) -> Marks:
    await database["things"].insert_one({"_id": "thing"})
    marks = Marks(database["things"], "sync.work", lease=timedelta(seconds=60))
    await marks.create_index()
    return marks


async def claimed(marks: Marks, now: datetime) -> Claim:
    claim = await marks.claim(now)
    assert claim is not None
    return claim


async def test_what_nobody_wished_for_is_not_claimed(marks: Marks) -> None:
    assert await marks.claim(NOW) is None


async def test_a_burst_of_wishes_is_one_piece_of_work(marks: Marks) -> None:
    for number in range(100):
        await marks.set({"_id": "thing"}, NOW + number * SECOND / 1000)

    await marks.done(await claimed(marks, NOW + SECOND), NOW + SECOND)

    assert await marks.claim(NOW + DAY) is None


async def test_a_wish_during_the_work_is_one_more_piece_of_work(marks: Marks) -> None:
    await marks.set({"_id": "thing"}, NOW)
    claim = await claimed(marks, NOW)
    await marks.set({"_id": "thing"}, NOW + SECOND)
    await marks.done(claim, NOW + 2 * SECOND, again_at=NOW + DAY)

    await marks.done(await claimed(marks, NOW + 2 * SECOND), NOW + 3 * SECOND)

    assert await marks.claim(NOW + 2 * DAY) is None


async def test_a_wish_of_the_same_millisecond_or_of_a_slower_clock_is_not_lost(marks: Marks) -> None:
    await marks.set({"_id": "thing"}, NOW)
    claim = await claimed(marks, NOW)
    await marks.set({"_id": "thing"}, NOW - SECOND)
    await marks.done(claim, NOW)

    assert await marks.claim(NOW) is not None


async def test_a_wish_makes_a_planned_look_due_now_and_is_not_lost_in_it(marks: Marks) -> None:
    await marks.set({"_id": "thing"}, NOW)
    await marks.done(await claimed(marks, NOW), NOW, again_at=NOW + DAY)
    assert await marks.claim(NOW + SECOND) is None

    await marks.set({"_id": "thing"}, NOW + SECOND)
    claim = await claimed(marks, NOW + SECOND)
    await marks.set({"_id": "thing"}, NOW + 2 * SECOND)
    await marks.done(claim, NOW + 3 * SECOND, again_at=NOW + DAY)

    assert await marks.claim(NOW + 3 * SECOND) is not None


async def test_a_planned_look_comes_by_itself(marks: Marks) -> None:
    await marks.set({"_id": "thing"}, NOW)
    await marks.done(await claimed(marks, NOW), NOW, again_at=NOW + DAY)

    assert await marks.claim(NOW + DAY) is not None


async def test_a_wish_does_not_shorten_the_wait_after_a_failure(marks: Marks) -> None:
    await marks.set({"_id": "thing"}, NOW)
    await marks.failed(await claimed(marks, NOW), Throttled("slowly", retry_after=60), NOW)

    await marks.set({"_id": "thing"}, NOW + SECOND)

    assert await marks.claim(NOW + 2 * SECOND) is None
    assert await marks.claim(NOW + 73 * SECOND) is not None


async def test_hurry_makes_what_failed_due_now(marks: Marks) -> None:
    await marks.set({"_id": "thing"}, NOW)
    await marks.failed(await claimed(marks, NOW), Throttled("slowly", retry_after=600), NOW)

    await marks.hurry({"_id": "thing"}, NOW + SECOND)

    assert (await claimed(marks, NOW + SECOND)).attempts == 1


async def test_hurry_takes_no_work_from_whoever_is_at_it(marks: Marks) -> None:
    await marks.set({"_id": "thing"}, NOW)
    await claimed(marks, NOW)

    await marks.hurry({"_id": "thing"}, NOW)

    assert await marks.claim(NOW + SECOND) is None


async def test_waits_grow_and_end(marks: Marks) -> None:
    await marks.set({"_id": "thing"}, NOW)
    now, waits = NOW, []
    for _ in range(14):
        retry_at = await marks.failed(await claimed(marks, now), Transient("away"), now)
        waits.append(retry_at - now)
        now = retry_at

    assert waits[0] <= SECOND
    assert LONGEST_WAIT / 2 <= waits[-1] <= LONGEST_WAIT


async def test_the_reason_of_a_failure_is_kept(marks: Marks, database: AsyncDatabase[dict[str, Any]]) -> None:
    await marks.set({"_id": "thing"}, NOW)
    await marks.failed(await claimed(marks, NOW), Transient("Graph is away"), NOW)

    stored = await database["things"].find_one({})

    assert stored is not None
    assert stored["sync"]["work"]["last_error"] == "unavailable: Graph is away"


async def test_only_one_of_many_gets_the_work(marks: Marks) -> None:
    await marks.set({"_id": "thing"}, NOW)

    claims = await asyncio.gather(*(marks.claim(NOW) for _ in range(10)))

    assert len([claim for claim in claims if claim]) == 1


async def test_the_work_of_a_process_that_died_is_taken_over_and_stays_so(marks: Marks) -> None:
    await marks.set({"_id": "thing"}, NOW)
    dead = await claimed(marks, NOW)
    assert await marks.claim(NOW + 59 * SECOND) is None

    heir = await claimed(marks, NOW + 61 * SECOND)
    assert await marks.extend(dead, NOW + 62 * SECOND) is False
    await marks.done(dead, NOW + 62 * SECOND)

    assert await marks.extend(heir, NOW + 63 * SECOND) is True
    await marks.done(heir, NOW + 63 * SECOND)
    assert await marks.claim(NOW + DAY) is None


async def test_each_piece_of_work_knows_the_traces_of_those_who_wished_for_it(marks: Marks) -> None:
    await marks.set({"_id": "thing"}, NOW, {"traceparent": "first"})
    await marks.set({"_id": "thing"}, NOW, {"traceparent": "second"})
    claim = await claimed(marks, NOW)
    await marks.set({"_id": "thing"}, NOW + SECOND, {"traceparent": "meanwhile"})
    await marks.done(claim, NOW + 2 * SECOND)

    following = await claimed(marks, NOW + 2 * SECOND)

    assert claim.traces == [{"traceparent": "first"}, {"traceparent": "second"}]
    assert following.traces == [{"traceparent": "meanwhile"}]


async def test_a_dollar_in_a_trace_is_only_a_dollar(marks: Marks) -> None:
    await marks.set({"_id": "thing"}, NOW, {"tracestate": "$secret"})

    assert (await claimed(marks, NOW)).traces == [{"tracestate": "$secret"}]


async def test_what_is_due_is_found_by_an_index_of_marked_documents_only(
    marks: Marks, database: AsyncDatabase[dict[str, Any]]
) -> None:
    await database["things"].insert_many([{"_id": number} for number in range(500)])
    await marks.set({"_id": "thing"}, NOW)

    plan = await database["things"].find({"sync.work.due_at": {"$lte": NOW}}).sort("sync.work.due_at").explain()

    assert plan["executionStats"]["totalDocsExamined"] == 1
