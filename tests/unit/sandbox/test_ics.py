"""Calendars that real programs wrote, loaded into the sandbox: the same occurrences as another library finds, or a refusal."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx2
import pytest

from tests.unit.sandbox.graph_client import Graph, sandbox_graph
from tests.unit.sandbox.real_calendars import FILES, FOLDER, REFUSED, Occurrence, expected, own_zone, series_file, years


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with sandbox_graph() as made:
        yield made


async def load(graph: Graph, content: bytes) -> httpx2.Response:
    return await graph.client.post(
        f"/sandbox/v1/accounts/{graph.account.id}/calendars/{graph.calendar}/ics",
        content=content,
        headers={"Content-Type": "text/calendar"},
    )


async def shown(graph: Graph, year: int) -> Counter[Occurrence]:
    """What the calendar shows in a year."""
    listed = await graph.view(f"{year}-01-01T00:00:00Z", f"{year + 1}-01-01T00:00:00Z")
    return Counter((_utc(found["start"]["dateTime"]), _utc(found["end"]["dateTime"]), found["subject"]) for found in listed)


@pytest.mark.parametrize("name", [name for name in FILES if name not in REFUSED])
async def test_a_real_calendar_shows_what_another_library_finds_in_it(graph: Graph, name: str) -> None:
    content = (FOLDER / name).read_bytes()
    answer = await load(graph, content)
    assert answer.status_code == 201, answer.text
    for year in years(content):
        assert await shown(graph, year) == expected(content, year)


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
async def test_what_outlook_could_not_hold_is_refused_whole_and_with_the_reason(graph: Graph, name: str, reason: str) -> None:
    answer = await load(graph, (FOLDER / name).read_bytes())
    assert answer.status_code == 400
    assert reason in answer.json()["detail"]
    assert "The event “" in answer.json()["detail"]
    assert graph.mailbox.events == {}


@pytest.mark.parametrize("content", [b"", b"hello", b"BEGIN:VCALENDAR\r\n", b"\x00\xff", b"BEGIN:VEVENT\r\nEND:VEVENT\r\n"])
async def test_what_is_no_calendar_is_refused(graph: Graph, content: bytes) -> None:
    answer = await load(graph, content)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("This is not a calendar")


async def test_a_change_of_all_following_occurrences_splits_the_series(graph: Graph) -> None:
    content = (FOLDER / "issue_75_range_parameter.ics").read_bytes().replace(b"RDATE:20240914T090000Z", b"X-NOTHING:1")
    assert (await load(graph, content)).json()["loaded"] == 3
    for year in (2024, 2025):
        assert await shown(graph, year) == expected(content, year)


RULES = [
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=12",
    "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=6",
    "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR;UNTIL=20260401T000000Z",
    "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU,FR;COUNT=30",
    "FREQ=YEARLY;BYMONTH=1;BYDAY=-1FR",
    "FREQ=WEEKLY;COUNT=1200",
    "FREQ=WEEKLY;UNTIL=99991231T235959Z",
]


@pytest.mark.parametrize("rule", RULES)
async def test_rules_that_outlook_can_say_keep_their_hours_over_clock_changes(graph: Graph, rule: str) -> None:
    content = series_file(rule, "DTSTART;TZID=W. Europe Standard Time:20260130T090000")
    if "BYMONTHDAY=-1" in rule:
        content = series_file(rule, "DTSTART;TZID=W. Europe Standard Time:20260131T090000")
    assert (await load(graph, content)).status_code == 201
    for year in (2026, 2027):
        assert await shown(graph, year) == expected(content, year)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=HOURLY;COUNT=5", "FREQ=MONTHLY;BYMONTHDAY=1,15", "FREQ=MONTHLY;BYDAY=5FR", "FREQ=YEARLY;BYMONTH=1,6",
        "FREQ=MONTHLY", "FREQ=DAILY;BYMONTH=1", "FREQ=WEEKLY;BYDAY=MO", "FREQ=WEEKLY;INTERVAL=0", "FREQ=SOMETIMES",
        "FREQ=DAILY;BYHOUR=9,17", "FREQ=WEEKLY;UNTIL=NEVER",
    ],
)  # fmt: skip
async def test_rules_that_outlook_can_not_say_are_refused(graph: Graph, rule: str) -> None:
    answer = await load(graph, series_file(rule, "DTSTART:20260130T090000Z"))
    assert answer.status_code == 400, answer.text
    assert answer.json()["detail"].startswith("The event “Series” can't be loaded: ")


@pytest.mark.parametrize(
    "line",
    [
        "RECURRENCE-ID:PT1H", "RECURRENCE-ID;TZID=Europe/Zurich:00010101T000000", "EXDATE;TZID=Europe/Zurich:00010101T000000",
        "DTEND:20400130T090000Z", "DTEND:99991231T235959Z", "DURATION:P99999D", "RRULE:FREQ=DAILY;INTERVAL=99999999",
    ],
)  # fmt: skip
async def test_times_that_no_calendar_of_outlooks_can_hold_are_refused(graph: Graph, line: str) -> None:
    start = "DTSTART;TZID=Europe/Zurich:20260130T090000\r\nSUMMARY:Odd"
    content = f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\n{start}\r\n{line}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    answer = await load(graph, content.encode())
    assert answer.status_code == 400, answer.text
    assert answer.json()["detail"].startswith("The event “Odd” can't be loaded: ")


async def test_a_zone_that_only_the_file_knows_becomes_one_that_behaves_alike(graph: Graph) -> None:
    content = series_file("FREQ=WEEKLY;COUNT=30", "DTSTART;TZID=Our own zone:20260130T090000", own_zone("+0100", "+0200"))
    assert (await load(graph, content)).status_code == 201
    assert await shown(graph, 2026) == expected(content, 2026)


async def test_each_file_has_its_own_zones_though_another_has_one_of_the_same_name(graph: Graph) -> None:
    for offsets, at in ((("+0100", "+0200"), "08:00"), (("+0200", "+0300"), "07:00")):
        zone = own_zone(*offsets, name="Their zone")
        content = series_file("FREQ=DAILY;COUNT=1", "DTSTART;TZID=Their zone:20260130T090000", zone)
        await load(graph, content)
        found = await graph.view("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")
        assert f"2026-01-30T{at}:00.0000000" in [one["start"]["dateTime"] for one in found]


async def test_a_called_off_event_is_loaded_as_called_off(graph: Graph) -> None:
    content = series_file("FREQ=DAILY;COUNT=1", "STATUS:CANCELLED\r\nCLASS:PRIVATE\r\nDTSTART:20260130T090000Z")
    await load(graph, content)
    (found,) = await graph.view("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")
    assert (found["isCancelled"], found["sensitivity"]) == (True, "private")


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
