"""Servers and services that fail while the system works: nothing is lost, and work goes on when they are back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.chaos.busy import busy
from tests.chaos.system import SERVICES, System, cut, killed, paused, running_system
from tests.consent import give_consent
from tests.settings_pages import settings_pages

AWHILE = 8.0
"""Seconds that a server is away: longer than any client's session with it."""


@pytest.fixture(scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    async with running_system(tmp_path_factory.mktemp("chaos")) as running:
        yield running


def day(number: int) -> datetime:
    return datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(days=number)


@pytest.fixture
async def events(system: System) -> list[str]:
    """Six events of a practice, known everywhere."""
    made = [await system.outlook.create(f"Massage {number}", day(number + 1)) for number in range(6)]
    await system.settled()
    return made


async def change(system: System, events: list[str]) -> None:
    """Everything that a person does in Outlook, and answers of customers."""
    renamed, moved, deleted, confirmed, cancelled, undone = events
    await system.outlook.rename(renamed, "Krankengymnastik")
    await system.outlook.move(moved, day(20))
    await system.outlook.delete(deleted)
    await system.outlook.create("Erstgespräch", day(21))
    await system.report(confirmed, "confirmed")
    await system.report(cancelled, "cancelled")
    await system.report(undone, "confirmed")
    await system.report(undone, "pending")


async def test_a_broker_that_hangs_delays_changes_and_answers_and_loses_none(system: System, events: list[str]) -> None:
    async with paused(system.broker), asyncio.timeout(4 * AWHILE):
        back = asyncio.get_running_loop().time() + AWHILE
        await change(system, events)
        await system.not_ready("webhook-gateway", "kafka")
        assert await system.notify() == 503
        await asyncio.sleep(back - asyncio.get_running_loop().time())

    await system.settled()
    await system.ready()


async def test_every_service_may_crash_in_the_middle_of_changes(system: System) -> None:
    async with busy(system, seed=1):
        for service in SERVICES:
            async with killed(system.stack.services, service):
                await asyncio.sleep(1)  # changes go on meanwhile

    await system.settled()


async def test_a_broker_whose_connections_are_cut_delays_changes_and_answers_and_loses_none(
    system: System, events: list[str]
) -> None:
    async with cut(system.line):
        await change(system, events)
        await system.not_ready("webhook-gateway", "kafka")
        assert await system.notify() == 503
        await system.not_ready("sync-worker", "kafka")

    await system.settled()
    await system.ready()


async def test_a_mongodb_that_hangs_delays_changes_and_answers_and_loses_none(system: System, events: list[str]) -> None:
    async with paused(system.stack.servers.parts["mongod"]):
        back = asyncio.get_running_loop().time() + AWHILE
        await change(system, events)
        await system.not_ready("sync-worker", "mongodb")
        assert await system.notify() == 202
        await asyncio.sleep(back - asyncio.get_running_loop().time())

    await system.settled()
    await system.ready()


async def test_a_mongodb_that_crashes_delays_changes_and_answers_and_loses_none(system: System, events: list[str]) -> None:
    async with killed(system.stack.servers, "mongod"):
        await change(system, events)
        await system.not_ready("sync-worker", "mongodb")
        assert await system.notify() == 202

    await system.settled()
    await system.ready()


async def test_a_redis_that_crashes_loses_sign_ins_politely_and_nothing_else(system: System, events: list[str]) -> None:
    async with settings_pages(system.stack.settings_url) as pages:
        await pages.sign_in()
        from_microsoft = await give_consent(await pages.begin_connect(), "anna.keller@bergpraxis.example")

        async with killed(system.stack.servers, "redis"):
            await change(system, events)
            await system.not_ready("sync-worker", "redis")
            await system.ready("auth", "settings-web")
            page = await pages.http.get("/settings/calendars")
            assert (page.status_code, "can’t look up who is signed in" in page.text) == (503, True), page.text
            await system.settled()

        back = await pages.http.get("/connect/microsoft/return", params=from_microsoft)
        assert (back.status_code, "no Microsoft account was connected" in back.text) == (401, True), back.text
        page = await pages.http.get("/settings/calendars")
        assert (page.status_code, page.headers["location"]) == (303, "/signin?next=/settings/calendars")

        await pages.sign_in()
        back = await pages.http.get("/connect/microsoft/return", params=from_microsoft)
        page = await pages.http.get(back.headers["location"])
        assert "Begin again; the sign-in has to be finished within ten minutes." in page.text
        assert [one["id"] for one in await pages.ask("GET", "/api/v1/connections")] == [system.connection]
    await system.ready()
