"""A practice that never rests: its calendar changes and its customers answer, all the time."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from common.messages import Status
from tests.chaos.system import System

PACE = 0.1
MOST = 60
"""Events at once."""
ANSWERS: tuple[Status, ...] = ("confirmed", "cancelled", "pending")


@asynccontextmanager
async def busy(system: System, seed: int) -> AsyncIterator[None]:
    """Changes go on until left; the same seed makes the same ones."""
    over = asyncio.Event()
    working = asyncio.create_task(_work(system, random.Random(seed), over))
    try:
        yield
    finally:
        over.set()
        await working


async def _work(system: System, chance: random.Random, over: asyncio.Event) -> None:
    events = sorted(await system.outlook.listed())
    while not over.is_set():
        await _change(system, chance, events)
        await asyncio.sleep(PACE)


async def _change(system: System, chance: random.Random, events: list[str]) -> None:
    outlook, dice = system.outlook, chance.random()
    if len(events) < MOST and (dice < 0.3 or len(events) < 5):
        events.append(await outlook.create(f"Massage {chance.randrange(1000)}", _some_time(chance)))
    elif dice < 0.5:
        await outlook.rename(chance.choice(events), f"Krankengymnastik {chance.randrange(1000)}")
    elif dice < 0.7:
        await outlook.move(chance.choice(events), _some_time(chance))
    elif dice < 0.8:
        await outlook.delete(events.pop(chance.randrange(len(events))))
    else:
        await system.report(chance.choice(events), chance.choice(ANSWERS))


def _some_time(chance: random.Random) -> datetime:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=chance.randrange(1, 60), minutes=15 * chance.randrange(32, 72))
