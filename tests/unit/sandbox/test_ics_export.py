"""Calendars written as .ics files: the sandbox reads its own back, and another library finds the same in them."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import icalendar
import pytest

from outlook_sandbox.ics.export import export_calendar
from tests.unit.sandbox.graph_client import Graph, Json, sandbox_graph, weekly
from tests.unit.sandbox.real_calendars import FILES, FOLDER, REFUSED, Occurrence, expected, own_zone, series_file, years

OWN = {"id", "@odata.etag", "changeKey", "createdDateTime", "lastModifiedDateTime", "iCalUId", "webLink", "seriesMasterId"}
"""What two copies of an event have each for themselves."""
TEXTS = [
    "plain", "comma, semicolon; colon: and \"quotes\"", r"C:\New folder\notes", "two\nlines", "Ünïcode – 漢字 🎉", "x" * 400,
    "é" * 200, " leading and trailing ", "line\u2028separator and nel\u0085", "BEGIN:VEVENT", "a\\, b\\; c\\n",
]  # fmt: skip
PATTERNS: list[Json] = [
    {"type": "daily", "interval": 3},
    {"type": "weekly", "interval": 2, "daysOfWeek": ["monday", "friday"], "firstDayOfWeek": "sunday"},
    {"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 27},
    {"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 30},
    {"type": "absoluteMonthly", "interval": 2, "dayOfMonth": 31},
    {"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["tuesday"], "index": "second"},
    {"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["monday", "tuesday", "wednesday"], "index": "last"},
    {"type": "absoluteYearly", "interval": 1, "dayOfMonth": 29, "month": 2},
    {"type": "absoluteYearly", "interval": 1, "dayOfMonth": 31, "month": 12},
    {"type": "relativeYearly", "interval": 1, "daysOfWeek": ["sunday"], "index": "last", "month": 3},
]


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with sandbox_graph() as made:
        yield made


def path(graph: Graph, calendar: str) -> str:
    return f"/sandbox/v1/accounts/{graph.account.id}/calendars/{calendar}/ics"


async def load(graph: Graph, content: bytes, calendar: str = "") -> None:
    answer = await graph.client.post(
        path(graph, calendar or graph.calendar), content=content, headers={"Content-Type": "text/calendar"}
    )
    assert answer.status_code == 201, answer.text


def export(graph: Graph, calendar: str = "") -> bytes:
    return export_calendar(graph.mailbox, graph.mailbox.calendars[calendar or graph.calendar])


async def copied(graph: Graph) -> str:
    """A new calendar with what the exported file brings."""
    made = await graph.ask("POST", "/me/calendars", {"name": "Copy"})
    copy = str(made.json()["id"])
    await load(graph, export(graph), copy)
    return copy


async def listed(graph: Graph, year: int, calendar: str = "", **more: Any) -> list[Json]:
    return await graph.view(f"{year}-01-01T00:00:00Z", f"{year + 1}-01-01T00:00:00Z", calendar or graph.calendar, **more)


def contents(events: list[Json]) -> list[str]:
    """Everything but the copies' own ids and times of writing, in an order of its own."""
    return sorted(json.dumps({name: one[name] for name in one.keys() - OWN}, sort_keys=True) for one in events)


def occurrences(events: list[Json]) -> Counter[Occurrence]:
    return Counter((_utc(one["start"]), _utc(one["end"]), one["subject"]) for one in events)


def parsed(content: bytes) -> Any:
    return icalendar.Calendar.from_ical(content)


def lines(content: bytes) -> list[str]:
    return content.decode().replace("\r\n ", "").split("\r\n")


@pytest.mark.parametrize("name", [name for name in FILES if name not in REFUSED])
async def test_a_real_calendar_is_the_same_after_an_export_and_an_import(graph: Graph, name: str) -> None:
    content = (FOLDER / name).read_bytes()
    await load(graph, content)
    copy = await copied(graph)
    exported = export(graph)
    for year in years(content):
        original = await listed(graph, year)
        assert contents(await listed(graph, year, copy)) == contents(original)
        assert expected(exported, year) == occurrences(original)


@pytest.mark.parametrize("text", TEXTS)
async def test_texts_come_through_whole(graph: Graph, text: str) -> None:
    body = {"contentType": "html", "content": f"<p>{text}</p>"}
    await graph.create(text, body=body, location={"displayName": text}, categories=[text, "Red category"])
    assert all(len(line) <= 75 for line in export(graph).split(b"\r\n"))
    copy = await copied(graph)
    assert contents(await listed(graph, 2026, copy)) == contents(await listed(graph, 2026))
    (read,) = parsed(export(graph)).walk("VEVENT")
    assert (str(read["SUMMARY"]), [str(name) for name in read["CATEGORIES"].cats]) == (text, [text, "Red category"])


async def test_control_characters_which_no_file_can_hold_are_left_out(graph: Graph) -> None:
    attendee = {"emailAddress": {"name": "A\x07\nB", "address": "a\r\n@x.example"}}
    await graph.create("bell\x07 and\x0b tab\t", attendees=[attendee])
    (read,) = parsed(export(graph)).walk("VEVENT")
    assert str(read["SUMMARY"]) == "bell and tab\t"
    assert (str(read["ATTENDEE"]), read["ATTENDEE"].params["CN"]) == ("mailto:a @x.example", "A B")


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("extent", [{"type": "noEnd"}, {"type": "numbered", "numberOfOccurrences": 6}, {"type": "endDate"}])
async def test_every_pattern_is_read_the_same_by_us_and_by_another_library(graph: Graph, pattern: Json, extent: Json) -> None:
    end = {"endDate": "2029-10-31"} if extent["type"] == "endDate" else {}
    rule = {"pattern": pattern, "range": extent | end | {"startDate": "2026-01-05"}}
    times = ("Series", "2026-01-05T08:30:00", "2026-01-05T09:15:00")
    made = await graph.create(*times, zone="W. Europe Standard Time", recurrence=rule)
    span = "startDateTime=2026-01-01T00:00:00Z&endDateTime=2030-12-01T00:00:00Z"
    instances = (await graph.get(f"/me/events/{made['id']}/instances?{span}"))["value"]
    moved = {"dateTime": instances[1]["start"]["dateTime"][:11] + "20:00:00", "timeZone": "UTC"}
    ends = moved | {"dateTime": moved["dateTime"].replace("T20", "T21")}
    await graph.patch(instances[1]["id"], {"subject": "Moved", "start": moved, "end": ends, "showAs": "tentative"})
    await graph.ask("DELETE", f"/me/events/{instances[2]['id']}")
    copy = await copied(graph)
    for year in (2026, 2028, 2029):
        original = await listed(graph, year)
        assert contents(await listed(graph, year, copy)) == contents(original)
        assert expected(export(graph), year) == occurrences(original)


async def test_an_all_day_series_has_days_and_no_times(graph: Graph) -> None:
    series = await graph.create("Off", "2026-11-03T00:00:00", "2026-11-05T00:00:00", isAllDay=True, recurrence=weekly())
    await graph.ask("DELETE", f"/me/events/{series['id']}.20261110")
    found = await listed(graph, 2026)
    await graph.ask("DELETE", f"/me/events/{found[1]['id']}")
    await graph.patch(found[2]["id"], {"subject": "Half off"})
    text = lines(export(graph))
    assert "DTSTART;VALUE=DATE:20261103" in text
    assert "EXDATE;VALUE=DATE:20261110" in text
    assert "RECURRENCE-ID;VALUE=DATE:20261117" in text
    assert not any("TZID" in line for line in text)
    copy = await copied(graph)
    assert contents(await listed(graph, 2026, copy)) == contents(await listed(graph, 2026))
    assert expected(export(graph), 2026) == occurrences(await listed(graph, 2026))


@pytest.mark.parametrize(
    "fields",
    [
        {"showAs": "oof", "importance": "high", "sensitivity": "private"},
        {"showAs": "workingElsewhere", "importance": "low", "sensitivity": "personal"},
        {"showAs": "tentative", "sensitivity": "confidential", "isReminderOn": False},
        {"showAs": "free", "reminderMinutesBeforeStart": 1440, "allowNewTimeProposals": False},
        {"body": {"contentType": "text", "content": "Plain\nwords; and, more"}},
        {"attendees": [
            {"type": "resource", "emailAddress": {"name": "Room 1", "address": "room1@x.example"}},
            {"type": "optional", "emailAddress": {"name": "Ö, B", "address": "b@x.example"}, "status": {"response": "declined"}},
        ]},
    ],
)  # fmt: skip
async def test_microsofts_own_properties_come_through(graph: Graph, fields: Json) -> None:
    await graph.create("Event", **fields)
    copy = await copied(graph)
    assert contents(await listed(graph, 2026, copy)) == contents(await listed(graph, 2026))


async def test_a_meeting_of_others_keeps_its_organizer_its_state_and_its_link(graph: Graph) -> None:
    made = await graph.create("Meeting", isOnlineMeeting=True)
    kept = graph.mailbox.find(made["id"])
    assert kept is not None
    organizer = {"emailAddress": {"name": "Beat Locher", "address": "beat@x.example"}}
    answer = {"response": "notResponded", "time": "0001-01-01T00:00:00Z"}
    kept.fields |= {"organizer": organizer, "isOrganizer": False, "isCancelled": True, "responseStatus": answer}
    copy = await copied(graph)
    assert contents(await listed(graph, 2026, copy)) == contents(await listed(graph, 2026))
    text = lines(export(graph))
    assert "STATUS:CANCELLED" in text
    assert 'ORGANIZER;CN="Beat Locher":mailto:beat@x.example' in text


async def test_a_file_says_its_zones_under_the_names_that_the_events_have(graph: Graph) -> None:
    await graph.create("One", zone="W. Europe Standard Time")
    await graph.create("Two", zone="America/New_York")
    await graph.create("Three", zone="w. europe standard time")
    await graph.create("Four", zone="tzone://Microsoft/Utc")
    read = parsed(export(graph))
    zones = {str(zone["TZID"]) for zone in read.walk("VTIMEZONE")}
    assert zones == {"W. Europe Standard Time", "America/New_York", "Europe/Berlin"}
    starts = {str(one["SUMMARY"]): one["DTSTART"].params.get("TZID") for one in read.walk("VEVENT")}
    assert starts == {"One": "W. Europe Standard Time", "Two": "America/New_York", "Three": "Europe/Berlin", "Four": None}
    assert "DTSTART:20261124T090000Z" in lines(export(graph))


async def test_a_zone_that_a_loaded_file_defined_is_not_written_into_others(graph: Graph) -> None:
    await graph.create("Ours", zone="W. Europe Standard Time")
    before = export(graph)
    other = (await graph.ask("POST", "/me/calendars", {"name": "Other"})).json()["id"]
    zone = own_zone("+0500", "+0600", "W. Europe Standard Time")
    await load(graph, series_file("FREQ=DAILY;COUNT=1", "DTSTART;TZID=W. Europe Standard Time:20260130T090000", zone), other)
    assert export(graph) == before


async def test_events_long_past_and_far_ahead_are_covered_by_their_zones(graph: Graph) -> None:
    for year in (1955, 2060):
        await graph.create("Far", f"{year}-07-01T09:00:00", f"{year}-07-01T10:00:00", zone="Europe/Zurich")
    (zone,) = parsed(export(graph)).walk("VTIMEZONE")
    begins = sorted(part["DTSTART"].dt.date() for part in zone.subcomponents)
    assert begins[0] <= date(1955, 7, 1)
    changes = [moment.dt.year for part in zone.subcomponents for moment in part.get("RDATE", icalendar.vDDDLists([])).dts]
    assert max(changes) >= 2060


async def test_an_entry_has_what_rfc_5545_and_outlook_want_of_it(graph: Graph) -> None:
    made = await graph.create("Entry", categories=["Red category"])
    text = lines(export(graph))
    assert text[0] == "BEGIN:VCALENDAR"
    assert {"VERSION:2.0", "METHOD:PUBLISH", "X-WR-CALNAME:Calendar", f"UID:{made['iCalUId']}"} <= set(text)
    assert {"STATUS:CONFIRMED", "TRANSP:OPAQUE", "CLASS:PUBLIC", "SEQUENCE:0", "CATEGORIES:Red category"} <= set(text)
    assert {"X-MICROSOFT-CDO-BUSYSTATUS:BUSY", "X-MICROSOFT-CDO-IMPORTANCE:1", "X-MICROSOFT-CDO-INSTTYPE:0"} <= set(text)
    (stamp,) = (line for line in text if line.startswith("DTSTAMP:"))
    assert datetime.strptime(stamp, "DTSTAMP:%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) <= datetime.now(UTC)


async def test_an_empty_calendar_is_an_empty_file(graph: Graph) -> None:
    assert parsed(export(graph)).walk("VEVENT") == []


async def test_a_calendar_is_fetched_as_a_file(graph: Graph) -> None:
    await graph.create("There")
    answer = await graph.client.get(path(graph, graph.calendar))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert answer.content == export(graph)
    assert (await graph.client.get(path(graph, "nothing"))).status_code == 404


def _utc(moment: Json) -> datetime:
    return datetime.fromisoformat(moment["dateTime"]).replace(tzinfo=UTC)
