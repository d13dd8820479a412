"""Graph's door: what every answer carries, what faults do to a request, and requests that are not what they should be."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from outlook_sandbox.cut import ConnectionCut
from outlook_sandbox.faults import Conflict, Cut, ErrorAnswer, Garbage, Slow, Throttled
from tests.graph_contract import checked_app
from tests.serving import serving, until
from tests.unit.sandbox.graph_client import Graph, event, sandbox_graph, weekly

VIEW = "/me/calendarView?startDateTime=2026-11-01T00:00:00Z&endDateTime=2026-12-01T00:00:00Z"


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with sandbox_graph() as made:
        yield made


def error(answer: httpx2.Response) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()["error"]
    assert found.keys() == {"code", "message", "innerError"}
    assert {"date", "request-id", "client-request-id"} <= found["innerError"].keys()
    return found


async def test_every_answer_carries_graphs_headers(graph: Graph) -> None:
    for path in ("/me", "/me/events/gone", "/me/nothing"):
        answer = await graph.ask("GET", path, headers={"client-request-id": "5f1d"})
        assert answer.headers["client-request-id"] == "5f1d"
        assert json.loads(answer.headers["x-ms-ags-diagnostic"])["ServerInfo"].keys() == {
            "DataCenter", "Slice", "Ring", "ScaleUnit", "RoleInstance",
        }  # fmt: skip
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        if answer.status_code != 200:
            assert error(answer)["innerError"]["request-id"] == answer.headers["request-id"]
            assert error(answer)["innerError"]["client-request-id"] == "5f1d"
    first, second = [(await graph.ask("GET", "/me")).headers["request-id"] for _ in range(2)]
    assert first != second


async def test_applied_preferences_are_said(graph: Graph) -> None:
    wish = {"Prefer": 'outlook.timezone="Europe/Berlin", odata.maxpagesize=2, unheard-of'}
    answer = await graph.ask("GET", VIEW, headers=wish)
    assert answer.headers["preference-applied"] == 'outlook.timezone="Europe/Berlin", odata.maxpagesize=2'
    assert "preference-applied" not in (await graph.ask("GET", VIEW)).headers


# Faults


async def test_any_refusal_can_be_had(graph: Graph) -> None:
    graph.sandbox.faults.add(ErrorAnswer(status=504, code="generalException", message="Later.", retry_after="30", times=2))
    for _ in range(2):
        answer = await graph.ask("GET", "/me")
        assert (answer.status_code, error(answer)["code"], error(answer)["message"]) == (504, "generalException", "Later.")
        assert answer.headers["retry-after"] == "30"
    assert (await graph.ask("GET", "/me")).status_code == 200


@pytest.mark.parametrize(
    ("fault", "struck"),
    [
        (ErrorAnswer(), {"me", "calendars", "events", "other"}),
        (ErrorAnswer(account="tess"), {"me", "calendars", "events"}),
        (ErrorAnswer(app="another-app"), {"other"}),
        (ErrorAnswer(path="/me/calendars/*"), {"calendars"}),
        (ErrorAnswer(method="GET", path="/me"), {"me", "other"}),
        (ErrorAnswer(method="get", path="/me"), {"me", "other"}),
        (ErrorAnswer(method="PATCH"), set()),
    ],
    ids=lambda value: value.model_dump_json(exclude_defaults=True) if isinstance(value, ErrorAnswer) else "",
)
async def test_a_fault_strikes_where_it_is_meant_to(graph: Graph, fault: ErrorAnswer, struck: set[str]) -> None:
    if fault.account:
        fault = fault.model_copy(update={"account": graph.account.id})
    graph.sandbox.faults.add(fault)
    somebody = graph.sandbox.accounts.all()[0].id
    asked = {
        "me": graph.token,
        "calendars": graph.token,
        "events": graph.token,
        "other": graph.sandbox.tokens.issue(somebody, "another-app", frozenset(("User.Read",))).access_token,
    }
    paths = {
        "calendars": f"/users/{graph.account.username}/calendars/{graph.calendar}/events?$top=1",
        "events": "/me/events",
    }
    answers = {name: await graph.ask("GET", paths.get(name, "/me"), token=token) for name, token in asked.items()}
    assert {name for name, answer in answers.items() if answer.status_code == 503} == struck


async def test_a_path_that_no_request_can_have_is_refused(graph: Graph) -> None:
    for path in ("me/events", "https://graph.microsoft.com/v1.0/me", ""):
        assert (await graph.client.post("/sandbox/v1/faults", json={"kind": "graph-error", "path": path})).status_code == 422
    assert (await graph.client.post("/sandbox/v1/faults", json={"kind": "graph-error", "path": "*/events"})).status_code == 201


async def test_chance_repeats_with_its_seed(graph: Graph) -> None:
    runs = []
    for seed in (1, 1, 2):
        fault = graph.sandbox.faults.add(ErrorAnswer(probability=0.5, seed=seed))
        runs.append([(await graph.ask("GET", "/me")).status_code for _ in range(30)])
        graph.sandbox.faults.remove(fault.id)
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {200, 503}


async def test_a_conflict_comes_without_any_precondition_even_for_reading(graph: Graph) -> None:
    made = await graph.create()
    graph.sandbox.faults.add(Conflict(times=2))
    for answer in (await graph.ask("GET", "/me/calendars"), await graph.ask("PATCH", f"/me/events/{made['id']}", {"subject": "x"})):
        assert (answer.status_code, error(answer)["code"]) == (412, "ErrorIrresolvableConflict")
    assert (await graph.get(f"/me/events/{made['id']}"))["subject"] == "Massage"


async def test_a_slow_answer_keeps_its_place_among_the_four(graph: Graph) -> None:
    graph.sandbox.faults.add(Slow(seconds=30, path="/me/calendar"))
    slow = [asyncio.create_task(graph.ask("GET", "/me/calendar")) for _ in range(4)]
    await until(lambda: graph.sandbox.faults.all()[0].struck == 4)
    assert (await graph.ask("GET", "/me")).status_code == 429
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    assert (await graph.ask("GET", "/me")).status_code == 200


async def test_without_a_listener_a_cut_connection_is_an_exception(graph: Graph) -> None:
    graph.sandbox.faults.add(Cut(times=1))
    with pytest.raises(ConnectionCut):
        await graph.ask("GET", "/me")
    assert [entry.status for entry in graph.sandbox.journal.entries()] == [0]


@pytest.mark.parametrize("after", [False, True])
async def test_a_connection_ends_without_an_answer_before_or_after_the_work(graph: Graph, after: bool) -> None:
    made = await graph.create()
    async with serving(lambda _: checked_app(graph.sandbox)) as address, httpx2.AsyncClient(base_url=f"{address}/v1.0") as client:
        graph.sandbox.faults.add(Cut(method="PATCH", after=after, times=1))
        bearer = {"Authorization": f"Bearer {graph.token}"}
        path, body = f"/me/events/{made['id']}", {"subject": "changed"}
        with pytest.raises(httpx2.TransportError):
            await client.patch(path, json=body, headers=bearer)
        shown = await client.get(path, headers=bearer)
        assert shown.json()["subject"] == ("changed" if after else "Massage")
        assert (await client.patch(path, json=body, headers=bearer)).status_code == 200


async def test_an_answer_can_be_a_proxys_page(graph: Graph) -> None:
    graph.sandbox.faults.add(Garbage(status=502, times=1))
    answer = await graph.ask("GET", "/me")
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html")
    assert answer.text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("status", [204, 304])
async def test_where_http_has_no_body_there_is_none(graph: Graph, status: int) -> None:
    graph.sandbox.faults.add(Garbage(status=status, times=1))
    async with serving(lambda _: checked_app(graph.sandbox)) as address, httpx2.AsyncClient(base_url=f"{address}/v1.0") as client:
        bearer = {"Authorization": f"Bearer {graph.token}"}
        answers = [await client.get("/me", headers=bearer) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [status, 200]
    assert not answers[0].headers.keys() & {"content-length", "transfer-encoding"}


async def test_an_answer_can_end_in_the_middle(graph: Graph) -> None:
    graph.sandbox.faults.add(Garbage(shape="cut-json", times=1))
    answer = await graph.ask("GET", VIEW)
    assert answer.headers["content-type"].startswith("application/json")
    assert int(answer.headers["content-length"]) == len(answer.content)
    with pytest.raises(json.JSONDecodeError):
        answer.json()


async def test_what_happens_to_a_connection_happens_to_a_batch_as_a_whole(graph: Graph) -> None:
    steps = {"requests": [{"id": "1", "method": "GET", "url": "/me"}]}
    for fault in (Garbage(path="/me"), Cut(path="/me")):
        graph.sandbox.faults.add(fault)
    assert (await graph.ask("POST", "/$batch", steps)).json()["responses"][0]["status"] == 200
    graph.sandbox.faults.clear()
    graph.sandbox.faults.add(Garbage(path="/$batch", shape="cut-json"))
    assert not (await graph.ask("POST", "/$batch", steps)).text.endswith("}")


async def test_requests_to_the_subscription_service_meet_faults_too(graph: Graph) -> None:
    graph.sandbox.faults.add(Throttled(path="/subscriptions*"))
    assert (await graph.ask("GET", "/subscriptions")).status_code == 429
    assert (await graph.ask("GET", "/me")).status_code == 200


# Requests that are not what they should be


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "", 400),
        ("GET", "/", 400),
        ("GET", "/me/", 200),
        ("GET", "//me", 400),
        ("GET", "%2Fme", 400),
        ("GET", "/me//calendars", 400),
        ("GET", "/ME/CalendarS", 200),
        ("GET", "/Users/TESS@ting.example/calendars", 200),
        ("GET", "/users", 400),
        ("GET", "/users/", 400),
        ("GET", "/me/calendars/%", 404),
        ("GET", "/me/calendars/%FF%00%zz", 404),
        ("GET", "/me/calendars/a%2Fb", 404),
        ("GET", "/me?$select=id&$select=id", 400),
        ("GET", "/me?a=1&a=2", 400),
        ("GET", "/me?=&&&", 400),
        ("GET", "/me/events?$top=99999999999999999999999", 400),
        ("GET", f"/me/events/{'x' * 20_000}", 414),
        ("GET", f"/me/events?$skip={'1' * 20_000}", 414),
        ("HEAD", "/me", 405),
        ("OPTIONS", "/me", 405),
        ("PUT", "/me", 405),
        ("BREW", "/me", 405),
        ("DELETE", "/me/calendar", 405),
        ("POST", "/me/drive", 400),
    ],
)
async def test_odd_requests_are_answered_in_graphs_envelope(graph: Graph, method: str, path: str, status: int) -> None:
    answer = await graph.client.request(method, f"/v1.0{path}", headers={"Authorization": f"Bearer {graph.token}"})
    assert answer.status_code == status
    if status >= 400 and method != "HEAD":
        error(answer)


async def test_a_header_that_comes_twice_counts_as_one_list(graph: Graph) -> None:
    headers = [("Authorization", f"Bearer {graph.token}"), ("Prefer", 'outlook.timezone="Europe/Berlin"'), ("Prefer", "a=b")]
    answer = await graph.client.get(f"/v1.0{VIEW}", headers=headers)
    assert answer.headers["preference-applied"] == 'outlook.timezone="Europe/Berlin"'


@pytest.mark.parametrize("header", ["a" * 60_000 + '"', " " * 60_000 + '"', f"odata.maxpagesize={'9' * 5000}"])
async def test_a_preference_that_means_nothing_is_passed_over_however_long(graph: Graph, header: str) -> None:
    answer = await graph.ask("GET", "/me", headers={"Prefer": header})
    assert (answer.status_code, answer.headers.get("preference-applied")) == (200, None)


async def test_a_body_of_more_than_four_megabytes_is_refused(graph: Graph) -> None:
    path = f"/me/calendars/{graph.calendar}/events"
    most = 4 * 1024 * 1024
    body = json.dumps(event()).encode().ljust(most)
    headers = {"Authorization": f"Bearer {graph.token}", "Content-Type": "application/json"}
    assert (await graph.client.post(f"/v1.0{path}", content=body, headers=headers)).status_code == 201
    answer = await graph.client.post(f"/v1.0{path}", content=body + b" ", headers=headers)
    assert answer.status_code == 413
    error(answer)


async def test_a_large_upload_is_read_to_its_end_and_the_connection_stays_good(graph: Graph) -> None:
    async with serving(lambda _: checked_app(graph.sandbox)) as address, httpx2.AsyncClient(base_url=f"{address}/v1.0") as client:
        headers = {"Authorization": f"Bearer {graph.token}", "Content-Type": "application/json"}
        for _ in range(2):
            assert (await client.post("/me/events", content=b"x" * 20_000_000, headers=headers)).status_code == 413
            assert (await client.get("/me", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"subject": "a"} and more',
        b'{"subject": "\\ud800"}',
        b'{"subject": "\xff"}',
        b"\xef\xbb\xbf{}",
        b'{"subject": 1e999}',
        b'{"reminderMinutesBeforeStart": 1' + b"0" * 400 + b"}",
        b"[" * 100_000,
        b'{"location": {"address": ' + b'{"a":' * 99 + b"1" + b"}" * 101,
        b'{"location": {"address": ' + b'{"a":' * 5000 + b"1" + b"}" * 5002,
        b"[" * 101 + b'"' + b'\\"' * 200_000,
    ],
    ids=lambda body: body[:30].decode(errors="replace") + ("" if len(body) < 30 else f"… {len(body)}"),
)
async def test_a_body_that_is_no_event_is_refused(graph: Graph, body: bytes) -> None:
    for method, path in (("POST", "/me/events"), ("POST", "/$batch"), ("POST", "/subscriptions"), ("PATCH", "/me/calendar")):
        headers = {"Authorization": f"Bearer {graph.token}", "Content-Type": "application/json"}
        answer = await graph.client.request(method, f"/v1.0{path}", content=body, headers=headers)
        assert answer.status_code == 400, answer.text
        error(answer)


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "", "json"])
async def test_a_body_of_another_type_is_refused(graph: Graph, content_type: str) -> None:
    headers = {"Authorization": f"Bearer {graph.token}", "Content-Type": content_type}
    answer = await graph.client.post("/v1.0/me/events", content=b"{}", headers=headers)
    assert answer.status_code == 415
    error(answer)


PIECES = some.sampled_from(
    [
        "me", "users", "tess@ting.example", "calendars", "calendar", "events", "calendarView", "delta", "delta()", "instances",
        "outlook", "masterCategories", "subscriptions", "reauthorize", "mailboxSettings", "$batch", "", "x", "%", "%ff",
        "EVENT", "CALENDAR",
    ]
)  # fmt: skip
NAMES = some.sampled_from(
    ["$top", "$skip", "$select", "$orderby", "$filter", "$expand", "$count", "$search", "$deltatoken", "$skiptoken",
     "startDateTime", "endDateTime", "x"]
)  # fmt: skip
TEXTS = some.one_of(
    some.sampled_from(["", "1", "-1", "id", "subject", "start/dateTime desc", "2026-11-01", "2026-11-01T00:00Z", "subject eq 'x'"]),
    some.text(max_size=20),
)
MOMENT = some.fixed_dictionaries({"dateTime": some.one_of(TEXTS, some.datetimes().map(str)), "timeZone": TEXTS})
VALUES = some.recursive(
    some.one_of(some.none(), some.booleans(), some.integers(), some.floats(), TEXTS, MOMENT),
    lambda inner: some.one_of(some.lists(inner, max_size=3), some.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
PROPERTIES = some.dictionaries(
    some.sampled_from(
        [
            "subject", "start", "end", "body", "categories", "location", "locations", "recurrence", "attendees", "isAllDay",
            "showAs", "reminderMinutesBeforeStart", "transactionId", "displayName", "color", "name", "requests", "changeType",
            "notificationUrl", "resource", "expirationDateTime", "singleValueExtendedProperties",
        ]
    ),
    VALUES,
    max_size=4,
)  # fmt: skip
BODIES = some.one_of(
    some.none(),
    some.binary(max_size=30),
    PROPERTIES.map(lambda body: json.dumps(body).encode()),
    PROPERTIES.map(lambda body: json.dumps(event() | body).encode()),
)


@given(
    method=some.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD"]),
    pieces=some.lists(PIECES, max_size=6),
    query=some.lists(some.tuples(NAMES, TEXTS), max_size=3),
    body=BODIES,
    headers=some.dictionaries(
        some.sampled_from(["Prefer", "If-Match", "client-request-id", "Content-Type"]),
        some.text(some.characters(min_codepoint=32, max_codepoint=126), max_size=30),
        max_size=2,
    ),
)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_request_is_too_much_for_it(
    graph: Graph, method: str, pieces: list[str], query: list[tuple[str, str]], body: bytes | None, headers: dict[str, str]
) -> None:
    there = next(iter(graph.mailbox.events), None) or (await graph.create(recurrence=weekly("2026-11-24")))["id"]
    known = {"EVENT": there, "CALENDAR": graph.calendar}
    path = "/".join(known.get(piece, piece) for piece in ["v1.0", *pieces])
    url = httpx2.URL(f"http://localhost:8410/{path}", params=query)
    sent = {"Authorization": f"Bearer {graph.token}", "Content-Type": "application/json"} | headers
    answer = await graph.client.request(method, url, content=body, headers=sent)
    assert answer.status_code < 500
    if answer.status_code >= 400 and method != "HEAD":
        error(answer)
