"""`$filter`, `$orderby`, `$expand` and `$count` of the sandbox's Graph, and that nobody gets a 500 by asking strangely."""

from collections.abc import AsyncIterator, Callable
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outlook_sandbox.graph.errors import GraphError
from outlook_sandbox.graph.filter import read_filter, read_order
from outlook_sandbox.graph.properties import EVENT
from tests.unit.sandbox.graph_client import Graph, Json, event, sandbox_graph, weekly

GUID = "{66f5a359-4659-4830-9070-00047ec6ac6e}"
COLOR = f"String {GUID} Name Color"
LEVEL = f"Integer {GUID} Id 0x8012"


def tagged(**values: str) -> list[Json]:
    return [{"id": {"color": COLOR, "level": LEVEL}[name], "value": value} for name, value in values.items()]


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with sandbox_graph() as made:
        yield made


@pytest.fixture
async def filled(graph: Graph) -> Graph:
    """Massage on Tuesday, private; Taping on Wednesday, all day; a weekly Choir from Thursday."""
    await graph.create(categories=["Red category", "Müller's"], sensitivity="private", transactionId="t")
    await graph.create("Taping", "2026-11-25T00:00:00", "2026-11-26T00:00:00", isAllDay=True, reminderMinutesBeforeStart=5)
    extended = tagged(color="Light green", level="7")
    times = ("2026-11-26T18:00:00", "2026-11-26T19:00:00")
    series = weekly("2026-11-26", "thursday", type="numbered", numberOfOccurrences=3)
    await graph.create("Choir", *times, recurrence=series, singleValueExtendedProperties=extended, location={"displayName": "Hall"})
    return graph


async def subjects(graph: Graph, query: str, path: str = "/me/events") -> list[str]:
    return [found["subject"] for found in (await graph.get(f"{path}?{query}"))["value"]]


def refusal(answer: httpx2.Response) -> str:
    assert answer.status_code == 400, answer.text
    code: str = answer.json()["error"]["code"]
    return code


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("subject eq 'massage'", "M"),
        ("subject ne 'Massage'", "TC"),
        ("contains(subject,'ap')", "T"),
        ("startswith(subject,'ch') or endswith(subject,'sage')", "MC"),
        ("tolower(subject) eq 'taping'", "T"),
        ("not (subject eq 'Massage')", "TC"),
        ("not(subject eq 'Massage') and isAllDay eq false", "C"),
        ("subject in ('Massage','Choir')", "MC"),
        ("subject in ('Massage')", "M"),
        ("isCancelled eq false", "MTC"),
        ("isAllDay", "T"),
        ("type eq 'seriesMaster'", "C"),
        ("type eq 'singleInstance' and sensitivity eq 'private'", "M"),
        ("transactionId eq null", "TC"),
        ("transactionId ne null", "M"),
        ("reminderMinutesBeforeStart lt 15", "T"),
        ("reminderMinutesBeforeStart ge 5 and reminderMinutesBeforeStart le 5", "T"),
        ("start/dateTime ge '2026-11-25'", "TC"),
        ("start/dateTime ge '2026-11-24T09:00:00' and end/dateTime lt '2026-11-25T00:00:00.0000000'", "M"),
        ("Start/DateTime gt '2026-11-26T18:30:00+01:00'", "C"),
        ("startswith(start/dateTime,'2026-11-24')", "M"),
        ("createdDateTime ge 2020-01-01T00:00:00Z", "MTC"),
        ("createdDateTime lt 2020-01-01", ""),
        ("categories/any(c:c eq 'Red category')", "M"),
        ("categories/any(c:c eq 'müller''s')", "M"),
        ("categories/any(c:startswith(c,'Blue'))", ""),
        ("categories/any()", "M"),
        ("categories/all(c:c ne 'Red category')", "TC"),
        ("location/displayName eq 'Hall'", "C"),
        ("organizer/emailAddress/address eq 'tess@ting.example'", "MTC"),
        (f"singleValueExtendedProperties/Any(ep: ep/id eq '{COLOR}' and ep/value eq 'light GREEN')", "C"),
        (f"singleValueExtendedProperties/any(ep:ep/Id eq '{COLOR}' and contains(ep/Value, 'green'))", "C"),
        (f"singleValueExtendedProperties/any(ep: ep/id eq '{COLOR.lower().replace('color', 'Color')}')", "C"),
        (f"singleValueExtendedProperties/any(ep: ep/id eq '{COLOR.replace('Color', 'COLOR')}')", ""),
        (f"singleValueExtendedProperties/any(ep: ep/id eq '{LEVEL}' and ep/value ne '7')", ""),
    ],
)
async def test_a_filter_lets_the_right_events_through(filled: Graph, wanted: str, expected: str) -> None:
    assert "".join(subject[0] for subject in await subjects(filled, f"$filter={quote(wanted)}")) == expected


async def test_an_event_is_found_by_its_ical_uid(filled: Graph) -> None:
    (found,) = (await filled.get("/me/events?$filter=subject eq 'Taping'"))["value"]
    assert await subjects(filled, f"$filter=iCalUId eq '{found['iCalUId']}'") == ["Taping"]


async def test_times_in_a_filter_are_utc_whatever_zone_is_preferred(filled: Graph) -> None:
    wish = {"Prefer": 'outlook.timezone="Tokyo Standard Time"'}
    listed = (await filled.get("/me/events?$filter=start/dateTime eq '2026-11-24T09:00:00'", headers=wish))["value"]
    assert [found["start"]["dateTime"][11:16] for found in listed] == ["18:00"]


async def test_views_and_instances_are_filtered_too(filled: Graph) -> None:
    window = "startDateTime=2026-11-24T00:00:00Z&endDateTime=2026-12-31T00:00:00Z"
    path = f"/me/calendars/{filled.calendar}/calendarView"
    assert await subjects(filled, f"{window}&$filter=type eq 'occurrence'", path) == ["Choir"] * 3
    late = "$filter=start/dateTime ge '2026-12-01' and contains(subject,'choir')"
    assert len(await subjects(filled, f"{window}&{late}", path)) == 2
    (series,) = (await filled.get("/me/events?$filter=type eq 'seriesMaster'"))["value"]
    assert len(await subjects(filled, f"{window}&{late}", f"/me/events/{series['id']}/instances")) == 2


async def test_calendars_are_filtered_and_sorted(graph: Graph) -> None:
    graph.mailbox.add_calendar("Alpine club", owner=("Sabine", "sabine@practice.example"))
    graph.mailbox.add_calendar("Work")
    for query, expected in (
        ("$filter=canEdit eq true", ["Calendar", "Work"]),
        ("$filter=name eq 'work'", ["Work"]),
        ("$filter=owner/address ne 'tess@ting.example'", ["Alpine club"]),
        ("$orderby=name desc", ["Work", "Calendar", "Alpine club"]),
    ):
        assert [found["name"] for found in (await graph.get(f"/me/calendars?{query}"))["value"]] == expected


@pytest.mark.parametrize(
    ("wanted", "code", "message"),
    [
        ("", "BadRequest", "Invalid filter clause"),
        ("subject eq", "BadRequest", "Invalid filter clause"),
        ("subject eq 'unclosed", "BadRequest", "Invalid filter clause"),
        ("subject", "BadRequest", "must evaluate to a single boolean value"),
        ("subject eq 5", "BadRequest", "'Edm.String' and 'Edm.Int32' for operator kind 'Equal'"),
        ("createdDateTime ge '2026-01-01T00:00:00Z'", "BadRequest", "'Edm.DateTimeOffset' and 'Edm.String'"),
        ("start/dateTime ge 2026-01-01T00:00:00", "BadRequest", "The DateTimeOffset text '2026-01-01T00:00:00' should be in"),
        ("start/dateTime ge 2026-01-01T00:00:00Z", "BadRequest", "'Edm.String' and 'Edm.DateTimeOffset'"),
        ("start/dateTime ge 'tomorrow'", "BadRequest", "not valid"),
        ("colour eq 'red'", "RequestBroker--ParseUri", "Could not find a property named 'colour' on type 'microsoft.graph.event'."),
        ("start/time eq 'x'", "RequestBroker--ParseUri", "'time' on type 'microsoft.graph.dateTimeTimeZone'"),
        ("id eq 'x'", "ErrorInvalidProperty", "The property 'id' does not support filtering."),
        ("attendees/any(a:a/type eq 'required')", "ErrorInvalidProperty", "'attendees'"),
        ("start eq 'x'", "ErrorInvalidUrlQueryFilter", "invalid nodes"),
        ("subject/any(c:c eq 'x')", "ErrorInvalidUrlQueryFilter", "invalid nodes"),
        ("length(subject) eq 5", "ErrorInvalidUrlQueryFilter", "invalid nodes"),
        ("reminderMinutesBeforeStart add 5 eq 10", "ErrorInvalidUrlQueryFilter", "invalid nodes"),
        ("nothing(subject)", "BadRequest", "Invalid filter clause"),
        ("singleValueExtendedProperties/any(ep:ep/id eq 'Color')", "ErrorInvalidExtendedProperty", "id of an extended property"),
        ("(" * 200 + "isAllDay" + ")" * 200, "BadRequest", "node count limit"),
        (" or ".join(["isAllDay"] * 500), "BadRequest", "node count limit"),
        (f"subject eq '{'x' * 9000}'", "BadRequest", "longer than"),
        (f"reminderMinutesBeforeStart eq {'9' * 5000}", "BadRequest", "not valid"),
        ("/".join("a" * 140) + " eq 1", "RequestBroker--ParseUri", "Could not find a property named 'a'"),
    ],
)
async def test_what_a_filter_can_not_be_is_refused_even_for_an_empty_list(
    graph: Graph, wanted: str, code: str, message: str
) -> None:
    answer = await graph.ask("GET", f"/me/events?$filter={quote(wanted)}")
    assert refusal(answer) == code
    assert message in answer.json()["error"]["message"]


async def test_deep_filters_within_the_limit_are_read(filled: Graph) -> None:
    for wanted in ("(" * 140 + "isAllDay" + ")" * 140, "not " * 298 + "isAllDay", " or ".join(["isAllDay"] * 150)):
        assert await subjects(filled, f"$filter={quote(wanted)}") == ["Taping"]


async def test_a_list_is_sorted_by_several_properties_also_nested_ones(filled: Graph) -> None:
    assert await subjects(filled, "$orderby=subject desc") == ["Taping", "Massage", "Choir"]
    assert await subjects(filled, "$orderby=isAllDay desc,subject") == ["Taping", "Choir", "Massage"]
    assert await subjects(filled, "$orderby=isAllDay, start/dateTime desc") == ["Choir", "Massage", "Taping"]
    assert await subjects(filled, "$orderby=transactionId desc,end/dateTime desc") == ["Massage", "Choir", "Taping"]
    both = "$filter=subject ne 'Taping'&$orderby=subject&$top=1"
    assert await subjects(filled, both) == ["Choir"]


async def test_what_can_not_be_sorted_by_is_refused(graph: Graph) -> None:
    for query in ("colour", "start", "categories", "id", "subject up", "start/dateTime/x", ""):
        assert (await graph.ask("GET", f"/me/events?$orderby={query}")).status_code == 400, query


async def test_the_count_is_of_the_whole_filtered_list_and_pages_keep_the_query(filled: Graph) -> None:
    page = await filled.get("/me/events?$count=true&$top=1&$filter=isAllDay eq false&$orderby=subject")
    assert (page["@odata.count"], [found["subject"] for found in page["value"]]) == (2, ["Choir"])
    rest = await filled.get(page["@odata.nextLink"])
    assert ([found["subject"] for found in rest["value"]], "@odata.nextLink" in rest) == (["Massage"], False)
    assert "@odata.count" not in await filled.get("/me/events?$count=false")
    for query in ("$count=yes", "$search=choir", "$top=0", f"$top={'9' * 5000}", "$skip=-1"):
        assert (await filled.ask("GET", f"/me/events?{query}")).status_code == 400


async def test_extended_properties_are_kept_and_shown_only_to_who_asks_for_them(graph: Graph) -> None:
    made = await graph.create(singleValueExtendedProperties=tagged(color="Green", level="7"))
    changed = await graph.patch(made["id"], {"singleValueExtendedProperties": tagged(color="Blue")})
    path, plain = f"/me/events/{made['id']}", await graph.get(f"/me/events/{made['id']}")
    items, _ = await graph.delta()
    for shown in (made, changed, plain, items[0]):
        assert "singleValueExtendedProperties" not in shown
    assert changed["changeKey"] != made["changeKey"]

    async def expanded(wanted: str) -> list[Json]:
        shown = await graph.get(f"{path}?$expand=singleValueExtendedProperties($filter={quote(wanted)})&$select=subject")
        assert shown.keys() - {"singleValueExtendedProperties"} == {"@odata.context", "@odata.etag", "id", "subject"}
        found: list[Json] = shown.get("singleValueExtendedProperties", [])
        return found

    assert "singleValueExtendedProperties" not in await graph.get(f"{path}?$select=singleValueExtendedProperties")
    assert await expanded(f"id eq '{COLOR}'") == tagged(color="Blue")
    assert await expanded(f"id eq '{COLOR}' or id eq '{LEVEL}'") == tagged(level="7", color="Blue")
    assert await expanded(f"(id eq '{COLOR}') or (id eq '{LEVEL}')") == tagged(level="7", color="Blue")
    assert await expanded(f"id eq 'String {GUID} Name Other (a, ''b'')'") == []


async def test_lists_expand_extended_properties_and_an_exception_has_its_own(filled: Graph) -> None:
    expand = f"$expand=singleValueExtendedProperties($filter=id eq '{COLOR}')"
    shown = {found["subject"]: found for found in (await filled.get(f"/me/events?{expand}"))["value"]}
    assert [subject for subject, found in shown.items() if "singleValueExtendedProperties" in found] == ["Choir"]
    window = "startDateTime=2026-11-26T00:00:00Z&endDateTime=2026-12-31T00:00:00Z"
    path = f"/me/calendars/{filled.calendar}/calendarView?{window}&$select=id&{expand}"
    second = (await filled.get(path))["value"][1]
    await filled.patch(second["id"], {"singleValueExtendedProperties": tagged(color="Blue")})
    values = [found["singleValueExtendedProperties"][0]["value"] for found in (await filled.get(path))["value"]]
    assert values == ["Light green", "Blue", "Light green"]
    master = f"/me/events/{shown['Choir']['id']}?{expand},exceptionOccurrences&$select=subject"
    both = await filled.get(master)
    assert [found["id"] for found in both["exceptionOccurrences"]] == [second["id"]]
    assert both["singleValueExtendedProperties"] == tagged(color="Light green")


async def test_an_expand_or_an_extended_property_that_means_nothing_is_refused(filled: Graph) -> None:
    listed = (await filled.get("/me/events"))["value"]
    path = f"/me/events/{listed[0]['id']}"
    for expand in (
        "extensions", "singleValueExtendedProperties", "singleValueExtendedProperties($top=1)", "exceptionOccurrences($select=id)",
        "multiValueExtendedProperties($filter=id eq 'x')", "singleValueExtendedProperties($filter=id eq 'x'", "(((", "a,,b",
        "singleValueExtendedProperties($filter=id eq 'Color')", "singleValueExtendedProperties($filter=name eq 'x')",
    ):  # fmt: skip
        assert (await filled.ask("GET", f"{path}?$expand={quote(expand)}")).status_code == 400, expand
    assert (await filled.ask("GET", "/me/events?$expand=exceptionOccurrences")).status_code == 400
    for identifier in (
        "Color",
        "String Color",
        f"String {GUID} Name ",
        f"Text {GUID} Name Color",
        "String 0x12345",
        f"{GUID} Name x",
    ):
        sent = event(singleValueExtendedProperties=[{"id": identifier, "value": "x"}])
        assert refusal(await filled.ask("POST", "/me/events", sent)) == "ErrorInvalidExtendedProperty"
    for wrong in ([{"id": COLOR}], [{"id": COLOR, "value": None}], [{"id": COLOR, "value": 5}], {"id": COLOR}, None):
        assert refusal(await filled.ask("POST", "/me/events", event(singleValueExtendedProperties=wrong))) == "RequestBodyRead"
    for fine in ("Integer 0x8001", "String 0x4001001E", f"integer {GUID} id 32786"):
        await filled.create(singleValueExtendedProperties=[{"id": fine, "value": "1"}])


WORDS = st.sampled_from(
    [
        "subject", "start/dateTime", "start", "createdDateTime", "isAllDay", "categories", "type", "reminderMinutesBeforeStart",
        "singleValueExtendedProperties", "ep/id", "ep/value", "c", "a.b.c", "$it", "eq", "ne", "gt", "le", "in", "and", "or",
        "not", "any", "all", "any(c:c", "add", "contains", "startswith", "tolower", "concat('a','b')", "now()", "null", "true",
        "(", ")", ",", ":", "/", "-", "'", "'x'", "'2026-01-01'", "2026-01-01T00:00:00Z", "2026-13-41", "12:00:00", "5", "1e999",
        f"'{COLOR}'", "duration'P1D'", "geography'x'", "66f5a359-4659-4830-9070-00047ec6ac6e",
    ]
)  # fmt: skip
QUERIES = st.lists(WORDS, max_size=30).map(" ".join) | st.lists(WORDS, max_size=30).map("".join) | st.text(max_size=60)
SHOWN: Json = {
    "subject": "Massage", "isAllDay": False, "type": "singleInstance", "categories": ["Red category"],
    "start": {"dateTime": "2026-11-24T09:00:00.0000000", "timeZone": "UTC"}, "createdDateTime": "2026-01-01T00:00:00.0000000Z",
    "reminderMinutesBeforeStart": 15, "singleValueExtendedProperties": tagged(color="Green"),
}  # fmt: skip


def answered(work: Callable[[], object]) -> object:
    """What it gives, or the status of its refusal."""
    try:
        return work()
    except GraphError as refused:
        return refused.status


@given(QUERIES)
@settings(max_examples=1500, deadline=None)
def test_no_filter_is_answered_with_anything_but_a_bool_or_a_400(text: str) -> None:
    assert answered(lambda: read_filter(text, EVENT)(SHOWN)) in (True, False, 400)


@given(QUERIES)
@settings(max_examples=300, deadline=None)
def test_no_order_is_answered_with_anything_but_a_key_or_a_400(text: str) -> None:
    assert answered(lambda: {key(SHOWN) for key, _ in read_order(text, EVENT)})


@given(filter=QUERIES, orderby=QUERIES, expand=QUERIES, select=QUERIES)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_query_is_answered_with_a_500(filled: Graph, filter: str, orderby: str, expand: str, select: str) -> None:
    for name, text in (("$filter", filter), ("$orderby", orderby), ("$expand", expand), ("$select", select)):
        answer = await filled.ask("GET", f"/me/events?{name}={quote(text)}")
        assert answer.status_code in (200, 400), (name, text)
