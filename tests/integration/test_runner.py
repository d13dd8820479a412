"""Runners on a real MongoDB: work in hand stays in the hands of whoever is at it."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from common.marks import Claim, Marks
from common.runner import Runner, all_running, utc_now
from tests.serving import until

LEASE = timedelta(seconds=0.6)


async def test_work_that_takes_longer_than_its_lease_is_done_by_one(database: AsyncDatabase[dict[str, Any]]) -> None:
    things, over = database["things"], asyncio.Event()
    begun: list[datetime] = []

    async def work(claim: Claim, now: datetime) -> None:
        begun.append(now)
        await over.wait()

    marks = Marks(things, "work", lease=LEASE)
    await things.insert_one({"_id": "thing"})
    await marks.set({"_id": "thing"}, utc_now())
    replicas = [Runner(name, marks, work, at_once=1, look_every=0.05) for name in ("one", "other")]
    async with all_running(replicas):
        await until(lambda: begun)
        await until(lambda: things.find_one({"work.due_at": {"$gt": begun[0] + 3 * LEASE}}))
        over.set()
        await until(lambda: things.find_one({"work": {"$exists": False}}))

    assert len(begun) == 1


async def test_work_in_hand_is_given_back_when_its_process_ends(database: AsyncDatabase[dict[str, Any]]) -> None:
    things = database["things"]
    begun: list[Claim] = []

    async def work(claim: Claim, _: datetime) -> None:
        begun.append(claim)
        await asyncio.Event().wait()

    marks = Marks(things, "work")
    await things.insert_one({"_id": "thing"})
    await marks.set({"_id": "thing"}, utc_now())
    async with all_running([Runner("ending", marks, work, at_once=1)]):
        await until(lambda: begun)

    taken = await marks.claim(utc_now())
    assert taken
    assert (taken.wanted_at, taken.attempts) == (begun[0].wanted_at, 0)
