"""The gate before each mailbox, on a real Redis: what Microsoft allows holds over all processes."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from common.errors import Throttled
from common.mailbox_gate import BULK_SLOTS, LEASE_SECONDS, SLOTS, MailboxGate


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def gates(redis: Redis, redis_url: str) -> AsyncIterator[tuple[MailboxGate, MailboxGate]]:
    """As two processes have them."""
    async with Redis.from_url(redis_url) as other:
        yield MailboxGate(redis), MailboxGate(other)


class Crowd:
    """Counts who is inside at once."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0

    async def visit(self, gate: MailboxGate, mailbox: str, *, bulk: bool = False) -> None:
        async with gate.slot(mailbox, bulk=bulk):
            self.inside += 1
            self.most = max(self.most, self.inside)
            await asyncio.sleep(0.02)
            self.inside -= 1


async def test_four_at_once_over_two_gates_and_all_come_through(gates: tuple[MailboxGate, MailboxGate], unique: str) -> None:
    crowd = Crowd()

    await asyncio.gather(*(crowd.visit(gates[number % 2], unique) for number in range(24)))

    assert crowd.most == SLOTS


async def test_bulk_work_leaves_two_places_to_the_others(gates: tuple[MailboxGate, MailboxGate], unique: str) -> None:
    crowd = Crowd()

    await asyncio.gather(*(crowd.visit(gates[number % 2], unique, bulk=True) for number in range(12)))

    assert crowd.most == BULK_SLOTS


async def test_bulk_work_finds_a_place_beside_the_others(gates: tuple[MailboxGate, MailboxGate], unique: str) -> None:
    async with gates[0].slot(unique), gates[0].slot(unique), asyncio.timeout(5):
        async with gates[1].slot(unique, bulk=True), gates[1].slot(unique, bulk=True):
            pass
        async with gates[1].slot(unique, bulk=True), gates[1].slot(unique):
            pass


async def test_one_mailbox_does_not_wait_for_another(gates: tuple[MailboxGate, MailboxGate], unique: str) -> None:
    crowd = Crowd()

    await asyncio.gather(*(crowd.visit(gates[0], f"{unique}-{number}") for number in range(12)))

    assert crowd.most == 12


async def test_a_retry_after_that_one_was_told_is_kept_by_the_other(gates: tuple[MailboxGate, MailboxGate], unique: str) -> None:
    told, other = gates
    await told.punish(unique, 0.4)
    begun = time.monotonic()

    for gate in (other, told):
        async with gate.slot(unique):
            assert time.monotonic() - begun >= 0.39


async def test_a_long_retry_after_is_handed_on_instead_of_waited_for(gates: tuple[MailboxGate, MailboxGate], unique: str) -> None:
    await gates[0].punish(unique, 600)

    with pytest.raises(Throttled) as refused:
        async with gates[1].slot(unique):
            pass

    assert 590 < refused.value.retry_after <= 600


async def test_the_places_of_a_process_that_died_come_back(
    gates: tuple[MailboxGate, MailboxGate], redis: Redis, unique: str
) -> None:
    seconds, micros = await redis.time()
    lease_ends = seconds * 1000 + micros // 1000 + 300
    await redis.zadd(f"gate:{{{unique}}}:slots", {f"dead-{number}": lease_ends for number in range(SLOTS)})
    begun = time.monotonic()

    async with asyncio.timeout(5), gates[0].slot(unique):
        assert time.monotonic() - begun >= 0.25


async def test_an_error_inside_gives_the_place_back(gates: tuple[MailboxGate, MailboxGate], redis: Redis, unique: str) -> None:
    for _ in range(SLOTS + 1):
        with pytest.raises(ZeroDivisionError):
            async with asyncio.timeout(5), gates[0].slot(unique):
                raise ZeroDivisionError

    assert await redis.zcard(f"gate:{{{unique}}}:slots") == 0


async def test_without_redis_each_process_lets_through_one_at_a_time(unique: str) -> None:
    crowd = Crowd()
    async with Redis.from_url("redis://127.0.0.1:9/0", socket_connect_timeout=1) as nowhere:
        gate = MailboxGate(nowhere)
        await gate.punish(unique, 60)

        async with asyncio.timeout(10):
            await asyncio.gather(*(crowd.visit(gate, unique) for _ in range(5)))

    assert crowd.most == 1


async def test_a_mailbox_without_requests_leaves_nothing_in_redis(
    gates: tuple[MailboxGate, MailboxGate], redis: Redis, unique: str
) -> None:
    async with gates[0].slot(unique):
        assert 0 < await redis.pttl(f"gate:{{{unique}}}:slots") <= LEASE_SECONDS * 1000

    assert await redis.exists(f"gate:{{{unique}}}:slots") == 0
