"""Calendars that real programs wrote, through the whole system: every occurrence that another library finds, and no other."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import date
from typing import Any, NamedTuple

import msgspec
import pytest
from pymongo import AsyncMongoClient

from attendara_local.stack import Stack
from common.messages import AppointmentChanged
from common.store import Database, Document
from outlook_sandbox.client import SandboxControl, SandboxError
from tests.kafka_reading import reading
from tests.servers import Servers
from tests.serving import until
from tests.settings_pages import SettingsPages, settings_pages
from tests.unit.sandbox.real_calendars import FILES, FOLDER, REFUSED, Shown, shown_between

ADMIN = "usr_clara"
ACCOUNTS = 4
LIMIT = 120.0
"""Seconds until every calendar is in step."""
PUBLISHED = ["issue_179_example.ics", "issue_4.ics", "fablab_cottbus.ics", "Germany.ics"]


class Loaded(NamedTuple):
    """A calendar of the sandbox into which a file was loaded; `refused` is the reason if it was not."""

    account: str
    graph_id: str
    refused: str | None


class Synced(NamedTuple):
    """By the name of the file: how it was loaded, and what sync-worker knows of its calendar."""

    database: Database
    loaded: dict[str, Loaded]
    states: dict[str, Document]

    async def appointments(self, name: str) -> list[Document]:
        return await self.database.appointments.find({"calendar": self.states[name]["_id"], "removed": None}).to_list()


@pytest.fixture(scope="module")
async def database(system: Stack) -> AsyncIterator[Database]:
    environment = system.environment("sync-worker")
    async with AsyncMongoClient[Document](environment["MONGODB_URL"], tz_aware=True) as client:
        yield client[environment.get("MONGODB_DATABASE", "attendara")]


@pytest.fixture(scope="module")
async def synced(system: Stack, database: Database) -> AsyncIterator[Synced]:
    """A few accounts that hold all files, each in a calendar of its own, connected by an administrator and in step."""
    async with SandboxControl(system.sandbox_url) as sandbox:
        loaded: dict[str, Loaded] = {}
        for number in range(ACCOUNTS):
            loaded |= await _load(sandbox, f"real{number}@seehof.example", FILES[number::ACCOUNTS])
    async with settings_pages(system.settings_url) as pages:
        await pages.sign_in(ADMIN)
        usernames = sorted({one.account for one in loaded.values()})
        connections = [await _connect(pages, username) for username in usernames]
        await until(lambda: _in_step(database, connections, len(FILES)), LIMIT)
        yield Synced(database, loaded, await _states(database, loaded))
        # The tests after this one look at the feed of what is coming, which all organizations share.
        for connection in connections:
            await pages.ask("DELETE", f"/api/v1/connections/{connection}")
        await until(lambda: _nothing_left(database, connections), LIMIT)


async def _load(sandbox: SandboxControl, username: str, names: list[str]) -> dict[str, Loaded]:
    """A new account with a calendar for each file."""
    await sandbox.create_account(username, "Real Calendars")
    loaded = {}
    for name in names:
        calendar = (await sandbox.create_calendar(username, name)).id
        refused = None
        try:
            await sandbox.load_ics(username, calendar, (FOLDER / name).read_bytes())
        except SandboxError as error:
            refused = error.detail
        loaded[name] = Loaded(username, calendar, refused)
    return loaded


async def _connect(pages: SettingsPages, username: str) -> str:
    """What an administrator does: connect the account, give it a label, add all its calendars but the default one."""
    connection = await pages.connect(username)
    await pages.ask("PATCH", f"/api/v1/connections/{connection}", json={"name": username})
    offered = await pages.ask("GET", f"/api/v1/connections/{connection}/calendars")
    chosen = [one["graph_id"] for one in offered if one["name"] in FILES]
    await pages.ask("POST", "/api/v1/calendars", json={"connection": connection, "graph_ids": chosen})
    return connection


async def _in_step(database: Database, connections: list[str], calendars: int) -> bool:
    """Every calendar's first round has ended, no further one is wished for, and all that they stored is announced."""
    mine: Document = {"connection": {"$in": connections}}
    idle = {"state": "current"} | {mark: {"$exists": False} for mark in ("full", "delta", "checks")}
    if await database.sync_states.count_documents(mine | idle) < calendars:
        return False
    return await database.appointments.find_one(mine | {"to_announce": {"$exists": True}}) is None


async def _states(database: Database, loaded: dict[str, Loaded]) -> dict[str, Document]:
    names = {one.graph_id: name for name, one in loaded.items()}
    return {names[state["graph_id"]]: state async for state in database.sync_states.find({"graph_id": {"$in": list(names)}})}


async def _nothing_left(database: Database, connections: list[str]) -> bool:
    return await database.appointments.find_one({"connection": {"$in": connections}}) is None


@pytest.mark.parametrize("name", [name for name in FILES if name not in REFUSED])
async def test_mongodb_holds_what_another_library_finds_in_a_real_calendar(synced: Synced, name: str) -> None:
    assert synced.loaded[name].refused is None
    window = synced.states[name]["window"]
    start, end = (window[side].replace(microsecond=0) for side in ("start", "end"))  # Graph's sandbox counts whole seconds
    stored = Counter(_shown(appointment["content"]) for appointment in await synced.appointments(name))
    expected = shown_between((FOLDER / name).read_bytes(), start, end)
    assert stored - expected == Counter(), "appointments that nobody expects"
    assert expected - stored == Counter(), "occurrences that are missing"
    assert synced.states[name]["appointments"] == stored.total()


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
async def test_what_outlook_could_not_hold_is_refused_with_the_reason_and_brings_no_appointment(
    synced: Synced, name: str, reason: str
) -> None:
    assert reason in (synced.loaded[name].refused or "")
    assert await synced.appointments(name) == []


async def test_the_newest_message_of_each_appointment_says_what_mongodb_holds(system: Stack, synced: Synced) -> None:
    appointments = {one["_id"]: one for name in PUBLISHED for one in await synced.appointments(name)}
    wanted = {(one["_id"], one["sequence"]) for one in appointments.values()}
    async with reading(Servers(system.environment("sync-worker")).kafka, AppointmentChanged) as changes:
        told = await changes.of(lambda message: (message.appointment, message.sequence) in wanted, len(wanted))
    assert {message.appointment for message in told} == appointments.keys()
    for message in told:
        said, stored = msgspec.to_builtins(message), _stored(appointments[message.appointment])
        assert {name: said[name] for name in stored} == stored


def _shown(content: Document) -> Shown:
    days = [date.fromisoformat(content[day]) for day in ("start_date", "end_date") if content[day]]
    start, end = days or (content["start"], content["end"])
    return Shown(start, end, content["subject"], content["private"], content["called_off"])


def _stored(appointment: Document) -> dict[str, Any]:
    also = {name: appointment[name] for name in ("organization", "connection", "calendar", "series", "sequence")}
    told: dict[str, Any] = msgspec.to_builtins(appointment["content"] | also)
    return told
