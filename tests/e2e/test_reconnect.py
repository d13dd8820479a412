"""An account whose grant ends, and its owner who signs in again: the same row, the same appointments, and nothing missed."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from attendara_local.stack import Stack
from common.store import Database, Document
from common.tasks import end
from outlook_sandbox.client import SandboxControl
from outlook_sandbox.faults import Slow
from tests.outlook import Outlook, new_outlook
from tests.serving import until
from tests.settings_pages import SettingsPages, settings_pages

LIMIT = 60.0
DELTA = "/calendarView/delta"


@dataclass
class Practice:
    """An account with one monitored calendar, its owner in Outlook, and an administrator before the pages."""

    outlook: Outlook
    pages: SettingsPages
    control: SandboxControl
    database: Database
    connection: str = ""
    calendar: str = ""
    seen: list[str] = field(default_factory=list)

    async def row(self) -> dict[str, Any]:
        """The calendar's; every state that it was ever in is in `seen`."""
        listed = await self.pages.ask("GET", "/api/v1/calendars")
        found: dict[str, Any] = next(row for row in listed if row["id"] == self.calendar)
        if self.seen[-1:] != [found["state"]]:
            self.seen.append(found["state"])
        return found

    async def until_state(self, state: str) -> None:
        async def reached() -> bool:
            return bool((await self.row())["state"] == state)

        await until(reached, LIMIT)

    async def an_hour_passes(self) -> None:
        """In which nothing could be asked of Microsoft: what was last done well is an hour ago, and nothing is new."""
        for collection, query, name in (
            (self.database.calendars, {"_id": self.calendar}, "created_at"),
            (self.database.sync_states, {"_id": self.calendar}, "last_round_at"),
            (self.database.subscriptions, {"calendar": self.calendar}, "checked_at"),
        ):
            await collection.update_one(query, {"$set": {name: datetime.now(UTC) - timedelta(hours=1)}})

    async def stored(self, event: str) -> Document:
        found: Document = await until(lambda: self.database.appointments.find_one({"event_id": event}), LIMIT)
        return found

    async def subscriptions(self) -> list[str]:
        return [one.id for one in await self.control.subscriptions() if self.outlook.calendar in one.resource]


@pytest.fixture
async def practice(system: Stack) -> AsyncIterator[Practice]:
    environment = system.environment("auth")
    name = f"tess.{secrets.token_hex(4)}@reconnect.example"
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        client = await enter(AsyncMongoClient[Document](environment["MONGODB_URL"], tz_aware=True))
        database = client[environment.get("MONGODB_DATABASE", "attendara")]
        control = await enter(SandboxControl(system.sandbox_url))
        pages = await enter(settings_pages(system.settings_url))
        here = Practice(await enter(new_outlook(system.sandbox_url, name)), pages, control, database)
        await pages.sign_in()
        here.connection = await pages.connect(name)
        here.calendar = await pages.add_calendar(here.connection, here.outlook.calendar)
        await here.until_state("up-to-date")
        await until(here.subscriptions, LIMIT)
        yield here
        await pages.ask("DELETE", f"/api/v1/connections/{here.connection}")


async def test_an_account_that_lost_its_grant_is_healed_in_place(practice: Practice) -> None:
    today = datetime.now(UTC).replace(microsecond=0)
    kept, gone = [await practice.outlook.create(name, today + timedelta(days=2)) for name in ("Kept", "Gone")]
    before = {event: await practice.stored(event) for event in (kept, gone)}
    [lost] = await practice.subscriptions()

    await practice.control.revoke(practice.outlook.username, "password-reset")
    await practice.outlook.rename(kept, "Kept, and renamed meanwhile")
    await practice.outlook.delete(gone)
    missed = await practice.outlook.create("Made meanwhile", today + timedelta(days=3))
    await practice.until_state("needs-reconnect")
    assert await practice.subscriptions() == []
    await practice.an_hour_passes()

    since = await practice.control.last_request()
    practice.seen.clear()
    async with practice.control.fault(Slow(account=practice.outlook.username, path=f"/me/calendars/*{DELTA}", seconds=2)):
        looking = asyncio.create_task(keep_looking(practice))
        again = await practice.pages.connect(practice.outlook.username, practice.connection)
        await practice.until_state("up-to-date")
        await end(looking)

    assert again == practice.connection
    assert practice.seen == ["needs-reconnect", "catching-up", "up-to-date"]
    renewed = await practice.stored(kept)
    assert (renewed["_id"], renewed["content"]["subject"]) == (before[kept]["_id"], "Kept, and renamed meanwhile")
    assert (await practice.stored(missed))["content"]["subject"] == "Made meanwhile"
    await until(lambda: practice.database.appointments.find_one({"_id": before[gone]["_id"], "removed": {"$ne": None}}), LIMIT)
    [made] = await practice.subscriptions()
    assert made != lost
    account = (await practice.control.account(practice.outlook.username)).id
    rounds = await practice.control.journal(since=since, account=account, contains=DELTA, status=200)
    assert rounds
    assert not [one for one in rounds if "startDateTime" in one.query], "the kept link was followed, no new chain was begun"


async def keep_looking(practice: Practice) -> None:
    while True:
        await practice.row()
        await asyncio.sleep(0.05)
