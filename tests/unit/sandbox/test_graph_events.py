"""Events of the sandbox's Graph: who may, what is refused, what a write does."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from outlook_sandbox.database import Database
from outlook_sandbox.faults import DeletedAnswers
from outlook_sandbox.graph.fields import read_event
from outlook_sandbox.graph.writing import create_event
from tests.unit.sandbox.graph_client import IMMUTABLE, Graph, endpoint, event, sandbox_graph, weekly


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with sandbox_graph() as made:
        yield made


def error(answer: object) -> str:
    code: str = answer.json()["error"]["code"]  # type: ignore[attr-defined]
    return code


async def test_a_request_without_a_good_token_is_unauthenticated(graph: Graph) -> None:
    answer = await graph.ask("GET", "/me", token="made-up")
    assert (answer.status_code, error(answer)) == (401, "InvalidAuthenticationToken")
    assert "Bearer" in answer.headers["www-authenticate"]
    assert answer.json()["error"]["innerError"].keys() == {"date", "request-id", "client-request-id"}


async def test_a_missing_scope_is_denied(graph: Graph) -> None:
    reader = graph.token_for("Calendars.Read")
    assert (await graph.ask("GET", "/me/calendars", token=reader)).status_code == 200
    for answer in (
        await graph.ask("POST", "/me/events", event(), token=reader),
        await graph.ask("GET", "/me", token=reader),
        await graph.ask("GET", "/me/outlook/masterCategories", token=reader),
    ):
        assert (answer.status_code, error(answer)) == (403, "ErrorAccessDenied")


async def test_basic_reading_shows_no_text_and_nothing_that_apps_hung_on_an_event(graph: Graph) -> None:
    tag = {"id": "String {66f5a359-4659-4830-9070-00047ec6ac6e} Name Tag", "value": "1"}
    await graph.create(body={"contentType": "text", "content": "Secret"}, singleValueExtendedProperties=[tag])
    window = "startDateTime=2026-11-01T00:00:00Z&endDateTime=2026-12-01T00:00:00Z"
    expand = f"$expand=singleValueExtendedProperties($filter=id eq '{tag['id']}')"
    for path in (f"/me/calendarView?{window}&{expand}", f"/me/calendarView/delta?{window}"):
        basic = await graph.ask("GET", path, token=graph.token_for("Calendars.ReadBasic"))
        assert "Massage" in basic.text
        assert not any(text in basic.text for text in ("Secret", tag["id"]))
        assert "Secret" in (await graph.ask("GET", path, token=graph.token_for("Calendars.Read"))).text


async def test_a_client_request_id_comes_back(graph: Graph) -> None:
    answer = await graph.ask("GET", "/me", headers={"client-request-id": "mine"})
    assert answer.headers["client-request-id"] == "mine"
    assert answer.headers["request-id"] not in ("", "mine")
    assert answer.json()["id"] == graph.account.id


async def test_users_with_the_own_id_means_me_and_another_id_is_denied(graph: Graph) -> None:
    assert (await graph.get(f"/users/{graph.account.id}/calendars"))["value"][0]["id"] == graph.calendar
    answer = await graph.ask("GET", "/users/7b3c0a52-93d4-4b5e-9a1f-6d2f0c8e4a10/calendars")
    assert answer.status_code == 403


async def test_an_unknown_path_method_or_query_option_is_refused(graph: Graph) -> None:
    assert (await graph.ask("GET", "/me/nothing")).status_code == 400
    assert (await graph.ask("PUT", "/me/events")).status_code == 405
    assert (await graph.ask("GET", "/me/calendars?colour=red")).status_code == 400
    assert error(await graph.ask("GET", "/me/events?$search=x")) == "ErrorInvalidUrlQuery"
    assert (await graph.ask("GET", "/me/events?$top=1001")).status_code == 400
    assert (await graph.ask("GET", "/me/events?$select=nothing")).status_code == 200
    await graph.create()
    assert (await graph.ask("GET", "/me/events?$select=nothing")).status_code == 400


async def test_an_event_is_shown_with_graphs_fields(graph: Graph) -> None:
    made = await graph.create(
        body={"contentType": "html", "content": "<p>Bring a <b>towel</b></p>"},
        location={"displayName": "Room 1"},
        attendees=[{"type": "required", "emailAddress": {"name": "Lea", "address": "lea@example.org"}}],
        sensitivity="private",
        isOnlineMeeting=True,
        categories=["Red category"],
    )
    assert made["@odata.etag"] == f'W/"{made["changeKey"]}"'
    assert made["type"] == "singleInstance"
    assert made["start"] == {"dateTime": "2026-11-24T09:00:00.0000000", "timeZone": "UTC"}
    assert made["bodyPreview"] == "Bring a towel"
    assert made["organizer"]["emailAddress"]["address"] == "tess@ting.example"
    assert made["attendees"][0]["status"]["response"] == "none"
    assert made["onlineMeeting"]["joinUrl"].startswith("https://teams.microsoft.com/")
    assert made["location"]["displayName"] == made["locations"][0]["displayName"] == "Room 1"
    assert (made["isOrganizer"], made["isCancelled"], made["showAs"]) == (True, False, "busy")
    text = await graph.get(f"/me/events/{made['id']}", headers={"Prefer": 'outlook.body-content-type="text"'})
    assert text["body"] == {"contentType": "text", "content": "Bring a towel"}


@pytest.mark.parametrize(
    ("markup", "preview"),
    [
        ("<html><head><style>p {}</style><body>Bring a towel</body></html>", "Bring a towel"),
        ("<HEAD><title>Not this</title></HEAD ><p>Bring<br>a towel</p>", "Bring\r\na towel"),
        ("Bring<style>p {", "Bring"),
        ("1 < 2 <b>and</b> 3 > 2", "1 < 2 and 3 > 2"),
        ("<style>" * 100_000, ""),
        ("<" * 300_000, "<" * 255),
    ],
    ids=lambda text: text[:30],
)
async def test_a_preview_is_what_a_reader_would_see_of_any_markup(graph: Graph, markup: str, preview: str) -> None:
    assert (await graph.create(body={"contentType": "html", "content": markup}))["bodyPreview"] == preview


async def test_times_are_given_in_the_zone_that_is_preferred_by_either_name(graph: Graph) -> None:
    made = await graph.create(start="2026-06-24T09:00:00", end="2026-06-24T10:00:00", zone="W. Europe Standard Time")
    assert made["start"]["dateTime"].startswith("2026-06-24T07:00")
    for name in ("Tokyo Standard Time", "Asia/Tokyo"):
        wish = {"Prefer": f'outlook.timezone="{name}"'}
        shown = await graph.get(f"/me/events/{made['id']}", headers=wish)
        assert shown["start"] == {"dateTime": "2026-06-24T16:00:00.0000000", "timeZone": name}
    answer = await graph.ask("GET", "/me", headers={"Prefer": 'outlook.timezone="Mars"'})
    assert error(answer) == "TimeZoneNotSupportedException"


async def test_bad_bodies_are_refused(graph: Graph) -> None:
    path = f"/me/calendars/{graph.calendar}/events"
    for body, code in (
        (event(colour="red"), "RequestBodyRead"),
        (event(categories="red"), "RequestBodyRead"),
        (event(showAs="away"), "RequestBodyRead"),
        (event(isOrganizer=True), "ErrorInvalidPropertySet"),
        (event(zone="Mars"), "TimeZoneNotSupportedException"),
        (event(start="tomorrow"), "ErrorPropertyValidationFailure"),
        (event(end="9999-12-31T23:00:00"), "ErrorPropertyValidationFailure"),
        (event(end="2026-11-24T08:00:00"), "ErrorPropertyValidationFailure"),
        (event(end="2032-11-24T08:00:00"), "ErrorCalendarDurationIsTooLong"),
        (event(recurrence=weekly("0001-01-02")), "ErrorPropertyValidationFailure"),
        (event(recurrence=weekly("9999-12-01")), "ErrorPropertyValidationFailure"),
        (event(recurrence=weekly(type="endDate", endDate="4500-09-02")), "ErrorRecurrenceEndDateTooBig"),
        (event(isAllDay=True), "ErrorPropertyValidationFailure"),
        ({"subject": "no time"}, "ErrorPropertyValidationFailure"),
        ([], "RequestBodyRead"),
    ):
        answer = await graph.ask("POST", path, body)
        assert (answer.status_code, error(answer)) == (400, code), body
    assert not graph.mailbox.events


async def test_a_view_pages_sorts_selects_and_has_a_limit(graph: Graph) -> None:
    for hour in (11, 9, 10):
        await graph.create(f"at {hour}", f"2026-11-24T{hour:02}:00:00", f"2026-11-24T{hour:02}:30:00")
    window = "startDateTime=2026-11-24T00:00:00Z&endDateTime=2026-11-25T00:00:00Z"
    path = f"/me/calendars/{graph.calendar}/calendarView?{window}"
    first = await graph.get(f"{path}&$top=2&$select=subject&$orderby=start/dateTime desc")
    assert [found["subject"] for found in first["value"]] == ["at 11", "at 10"]
    assert first["value"][0].keys() == {"@odata.etag", "id", "subject"}
    second = await graph.get(first["@odata.nextLink"])
    assert [found["subject"] for found in second["value"]] == ["at 9"]
    assert "@odata.nextLink" not in second
    too_long = "startDateTime=2020-01-01T00:00:00Z&endDateTime=2026-01-01T00:00:00Z"
    refusal = (await graph.ask("GET", f"/me/calendarView?{too_long}")).json()["error"]
    assert (refusal["code"], refusal["message"][-4:]) == ("ErrorInvalidRequest", "1825")
    assert (await graph.ask("GET", "/me/calendarView")).status_code == 400
    beyond = "startDateTime=9999-01-01T00:00:00Z&endDateTime=9999-12-31T00:00:00Z"
    assert (await graph.ask("GET", f"/me/calendarView?{beyond}")).status_code == 400


async def test_the_longest_event_at_the_ends_of_exchanges_time_can_be_seen(graph: Graph) -> None:
    for year, away in (("1601", "4499-01-01T00:00:00Z"), ("4495", "1601-01-01T00:00:00Z")):
        made = await graph.create(
            start=f"{year}-01-02T00:00:00", end=f"{int(year) + 5}-01-01T00:00:00", recurrence=weekly(f"{year}-01-02")
        )
        assert made["id"] in {found["id"] for found in (await graph.get("/me/events?$top=100"))["value"]}
        assert await graph.view(f"{year}-01-02T00:00:00Z", f"{int(year) + 1}-01-01T00:00:00Z")
        await graph.view(away, f"{int(away[:4]) + 1}{away[4:]}")
        file = await graph.client.get(f"/sandbox/v1/accounts/{graph.account.id}/calendars/{graph.calendar}/ics")
        assert file.status_code == 200


async def test_a_series_keeps_its_hour_when_the_clocks_change(graph: Graph) -> None:
    await graph.create(
        start="2026-10-20T09:00:00", end="2026-10-20T10:00:00", zone="W. Europe Standard Time", recurrence=weekly("2026-10-20")
    )
    shown = await graph.view("2026-10-19T00:00:00Z", "2026-11-04T00:00:00Z")
    starts = [found["start"]["dateTime"][:16] for found in shown]
    assert starts == ["2026-10-20T07:00", "2026-10-27T08:00", "2026-11-03T08:00"]
    assert {found["type"] for found in shown} == {"occurrence"}
    assert len({found["id"] for found in shown}) == 3
    assert shown[0]["originalStart"] == "2026-10-20T07:00:00Z"


@pytest.mark.parametrize(
    ("pattern", "extent", "expected"),
    [
        ({"type": "daily", "interval": 2}, {"type": "numbered", "numberOfOccurrences": 3}, ["11-02", "11-04", "11-06"]),
        (
            {"type": "weekly", "interval": 2, "daysOfWeek": ["monday", "friday"], "firstDayOfWeek": "monday"},
            {"type": "endDate", "endDate": "2026-11-20"},
            ["11-02", "11-06", "11-16", "11-20"],
        ),
        ({"type": "absoluteMonthly", "dayOfMonth": 31}, {"type": "numbered", "numberOfOccurrences": 2}, ["11-30", "12-31"]),
        (
            {"type": "relativeMonthly", "daysOfWeek": ["friday"], "index": "last"},
            {"type": "numbered", "numberOfOccurrences": 2},
            ["11-27", "12-25"],
        ),
        ({"type": "absoluteYearly", "dayOfMonth": 24, "month": 12}, {"type": "noEnd"}, ["12-24"]),
        (
            {"type": "relativeYearly", "daysOfWeek": ["thursday"], "index": "fourth", "month": 11},
            {"type": "noEnd"},
            ["11-26"],
        ),
    ],
)
async def test_each_of_graphs_patterns_means_its_days(
    graph: Graph, pattern: dict[str, object], extent: dict[str, object], expected: list[str]
) -> None:
    recurrence = {"pattern": pattern, "range": extent | {"startDate": "2026-11-02"}}
    await graph.create(start="2026-11-02T09:00:00", end="2026-11-02T10:00:00", recurrence=recurrence)
    shown = await graph.view("2026-11-01T00:00:00Z", "2027-01-01T00:00:00Z")
    assert [found["start"]["dateTime"][5:10] for found in shown] == expected


async def test_a_pattern_that_means_nothing_is_refused(graph: Graph) -> None:
    for pattern in ({"type": "weekly", "daysOfWeek": []}, {"type": "absoluteMonthly"}, {"type": "fortnightly"}):
        body = event(recurrence={"pattern": pattern, "range": {"type": "noEnd", "startDate": "2026-11-02"}})
        assert (await graph.ask("POST", "/me/events", body)).status_code == 400


async def test_a_changed_occurrence_is_an_exception_and_a_deleted_one_is_gone(graph: Graph) -> None:
    series = await graph.create(recurrence=weekly("2026-11-24"), categories=["Red category"])
    window = ("2026-11-23T00:00:00Z", "2026-12-16T00:00:00Z")
    first, second, third, _ = await graph.view(*window)
    changed = await graph.patch(second["id"], {"subject": "Longer", "end": {"dateTime": "2026-12-01T10:30:00", "timeZone": "UTC"}})
    assert (changed["type"], changed["id"], changed["seriesMasterId"]) == ("exception", second["id"], series["id"])
    assert changed["categories"] == ["Red category"]
    assert (await graph.ask("DELETE", f"/me/events/{third['id']}")).status_code == 204
    assert (await graph.ask("GET", f"/me/events/{third['id']}")).status_code == 404
    shown = await graph.view(*window)
    assert [found["subject"] for found in shown] == ["Massage", "Longer", "Massage"]
    listed = await graph.get(f"/me/events/{series['id']}/instances?startDateTime={window[0]}&endDateTime={window[1]}")
    assert [found["id"] for found in listed["value"]] == [found["id"] for found in shown]
    master = await graph.get(f"/me/events/{series['id']}?$expand=exceptionOccurrences&$select=cancelledOccurrences")
    assert [found["id"] for found in master["exceptionOccurrences"]] == [second["id"]]
    assert len(master["cancelledOccurrences"]) == 1
    master = await graph.get(f"/me/events/{series['id']}")
    assert master["recurrence"]["pattern"]["daysOfWeek"] == ["tuesday"]
    assert first["type"] == "occurrence"


async def test_an_occurrence_may_not_cross_its_neighbours(graph: Graph) -> None:
    await graph.create(recurrence=weekly("2026-11-24"))
    _, second, _ = await graph.view("2026-11-23T00:00:00Z", "2026-12-09T00:00:00Z")
    body = {
        name: {"dateTime": f"2026-12-08T09:{minute}:00", "timeZone": "UTC"} for name, minute in (("start", "15"), ("end", "45"))
    }
    answer = await graph.ask("PATCH", f"/me/events/{second['id']}", body)
    assert error(answer) == "ErrorOccurrenceCrossingBoundary"


async def test_a_new_hour_for_the_series_undoes_its_exceptions(graph: Graph) -> None:
    series = await graph.create(recurrence=weekly("2026-11-24"))
    window = ("2026-11-23T00:00:00Z", "2026-12-09T00:00:00Z")
    await graph.patch((await graph.view(*window))[1]["id"], {"subject": "Other"})
    await graph.patch(series["id"], event(start="2026-11-24T12:00:00", end="2026-11-24T12:30:00"))
    shown = await graph.view(*window)
    assert {(found["subject"], found["start"]["dateTime"][11:16]) for found in shown} == {("Massage", "12:00")}


async def test_the_journal_tells_what_was_asked(graph: Graph) -> None:
    made = await graph.create()
    await graph.patch(made["id"], {"subject": "x"}, headers={"If-Match": made["@odata.etag"]})
    answer = await graph.client.get(f"/sandbox/v1/journal?account={graph.account.id}&method=PATCH")
    (entry,) = answer.json()["entries"]
    assert (entry["status"], entry["body"], entry["headers"]["if-match"]) == (200, '{"subject":"x"}', made["@odata.etag"])
    assert datetime.fromisoformat(entry["at"]) <= datetime.now(UTC)


async def test_everything_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.sqlite"
    database = Database(path)
    async with sandbox_graph(database=database) as graph:
        series = await graph.create(recurrence=weekly("2026-11-24"))
        second = (await graph.view("2026-11-23T00:00:00Z", "2026-12-09T00:00:00Z"))[1]
        await graph.patch(second["id"], {"subject": "Other"})
        gone = await graph.create("gone")
        _, link = await graph.delta()
        await graph.ask("DELETE", f"/me/events/{gone['id']}")
        before = await graph.view("2026-11-23T00:00:00Z", "2026-12-09T00:00:00Z")
        account, token, calendar = graph.account, graph.token, graph.calendar
    database.close()
    database = Database(path)
    async with sandbox_graph(database=database) as graph:
        graph.account, graph.token, graph.calendar = account, token, calendar
        assert await graph.view("2026-11-23T00:00:00Z", "2026-12-09T00:00:00Z") == before
        items, _ = await graph.delta(link)
        assert [item["@removed"]["reason"] for item in items] == ["deleted"]
        assert (await graph.get(f"/me/events/{series['id']}"))["id"] == series["id"]
    database.close()


async def test_the_seed_is_a_practices_two_weeks(graph: Graph) -> None:
    seeded = [account for account in graph.sandbox.accounts.all() if account != graph.account]
    assert {account.kind for account in seeded} == {"work", "personal"}
    assert 60 <= sum(len(graph.sandbox.mailboxes.of(account).events) for account in seeded) <= 100
    anna = graph.sandbox.accounts.named("anna.keller@bergpraxis.example")
    assert anna
    mailbox = graph.sandbox.mailboxes.of(anna)
    events = list(mailbox.events.values())
    assert any(made.recurrence and made.exceptions for made in events)
    assert any(made.span.all_day for made in events)
    assert any(made.fields["sensitivity"] == "private" for made in events)
    assert any(made.fields["attendees"] and not made.fields["isOrganizer"] for made in events)
    used = {name for made in events for name in made.fields["categories"]}
    assert len(used) >= 4
    assert used <= {category.name for category in mailbox.categories.values()}
    await graph.client.post("/sandbox/v1/reset")
    assert [account.username for account in graph.sandbox.accounts.all()] == [account.username for account in seeded]


async def test_a_deleted_event_may_still_answer_by_its_immutable_id(graph: Graph) -> None:
    made = await graph.create()
    immutable = (await graph.get(f"/me/events/{made['id']}", headers=IMMUTABLE))["id"]
    await graph.ask("DELETE", f"/me/events/{made['id']}")
    fault = graph.sandbox.faults.add(DeletedAnswers(account=graph.account.id))
    assert (await graph.get(f"/me/events/{immutable}", headers=IMMUTABLE))["subject"] == "Massage"
    for method, path in (
        ("GET", f"/me/events/{made['id']}"),
        ("GET", f"/me/calendars/{graph.calendar}/events/{immutable}"),
        ("PATCH", f"/me/events/{immutable}"),
        ("DELETE", f"/me/events/{immutable}"),
    ):
        assert (await graph.ask(method, path, {"subject": "x"} if method == "PATCH" else None)).status_code == 404
    assert await graph.view("2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z") == []
    graph.sandbox.faults.remove(fault.id)
    assert (await graph.ask("GET", f"/me/events/{immutable}")).status_code == 404


async def test_only_the_last_deleted_events_are_remembered(graph: Graph) -> None:
    calendar = graph.mailbox.calendars[graph.calendar]
    made = [create_event(graph.mailbox, calendar, read_event(event()), graph.sandbox.clock.now()) for _ in range(1001)]
    for one in made:
        graph.mailbox.remove(one)
    assert [graph.mailbox.deleted(one.id) is not None for one in (made[0], made[1], made[-1])] == [False, True, True]


async def test_a_shared_calendar_that_is_removed_only_leaves_the_list(graph: Graph) -> None:
    shared = graph.mailbox.add_calendar("Holidays", owner=("Sabine", "sabine@practice.example"))
    held = create_event(graph.mailbox, shared, read_event(event(transactionId="t")), graph.sandbox.clock.now())
    async with endpoint() as there:
        expires = (graph.sandbox.clock.now() + timedelta(days=1)).isoformat()
        body = {"changeType": "deleted", "notificationUrl": there.url, "resource": "/me/events", "expirationDateTime": expires}
        assert (await graph.ask("POST", "/subscriptions", body)).status_code == 201
        assert (await graph.ask("DELETE", f"/me/calendars/{shared.id}")).status_code == 204
        own = await graph.create()
        await graph.ask("DELETE", f"/me/events/{own['id']}")
        await there.until(lambda: bool(there.notifications))
        assert [told["resourceData"]["id"] for told in there.notifications] == [own["id"]]
    assert shared.id not in {found["id"] for found in (await graph.get("/me/calendars"))["value"]}
    assert (await graph.ask("GET", f"/me/events/{held.id}")).status_code == 404
    assert graph.mailbox.made_by("t") is None


async def test_cancelled_occurrences_are_given_only_to_who_selects_them(graph: Graph) -> None:
    series = await graph.create(recurrence=weekly("2026-11-24"))
    shown = await graph.get(f"/me/events/{series['id']}?$select=cancelledOccurrences")
    assert shown["cancelledOccurrences"] == []
    assert "cancelledOccurrences" not in await graph.get(f"/me/events/{series['id']}")
