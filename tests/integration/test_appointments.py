"""Storing what rounds see, on a real MongoDB: the fence, and what is said when MongoDB refuses."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from common.announce import Announcer
from common.graph.shapes import DateTimeZone, Event
from common.store import Database
from sync_worker.appointments import Place, make_appointments, message_of
from tests.fakes.recorded_messaging import RecordedMessaging

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
PLACE = Place("org", "con", "cal")
ELSEWHERE = Place("org", "con", "cal_other")

See = Callable[..., Awaitable[int]]


def event(subject: str, event_id: str = "one") -> Event:
    start, end = (DateTimeZone(date_time=f"2026-11-24T09:{minute}:00.0000000") for minute in ("00", "30"))
    return Event(id=event_id, type="singleInstance", etag='W/"1"', subject=subject, start=start, end=end)


@pytest.fixture
async def see(database: Database) -> See:
    """What a round with this number sees on a page."""
    appointments = make_appointments(database, Announcer(database.appointments, RecordedMessaging(), message_of), False)
    await appointments.create_indexes()

    async def see(*events: Event, number: int, place: Place = PLACE) -> int:
        return await appointments.store(place, events, number, NOW, {})

    return see


async def subjects(database: Database) -> list[str]:
    return [one["content"]["subject"] async for one in database.appointments.find().sort("event_id")]


async def test_an_older_view_never_replaces_a_newer_one(see: See, database: Database) -> None:
    await see(event("newer"), number=2)
    assert await see(event("older"), number=1) == 0
    assert await see(event("older"), number=1, place=ELSEWHERE) == 0
    assert await subjects(database) == ["newer"]
    assert await see(event("newest"), number=2) == 1
    assert await subjects(database) == ["newest"]


async def test_of_an_event_that_stands_twice_on_a_page_the_last_one_counts(see: See, database: Database) -> None:
    assert await see(event("first"), event("other", "two"), event("last"), number=1) == 2
    assert await subjects(database) == ["last", "other"]


async def test_titles_with_dollars_are_titles(see: See, database: Database) -> None:
    await see(event("Massage"), number=1)
    assert await see(event("$subject"), number=2) == 1
    assert await subjects(database) == ["$subject"]


async def test_what_mongodb_refuses_is_told_without_the_events(see: See, database: Database) -> None:
    await see(event("Massage"), number=1)
    await database.command("collMod", "appointments", validator={"content.subject": {"$ne": "a secret"}})
    with pytest.raises(RuntimeError) as refused:
        await see(event("a secret"), number=2)
    assert "secret" not in str(refused.value)
    assert refused.value.__suppress_context__
