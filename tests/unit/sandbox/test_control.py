"""The control API: what each of its routes does, and how it refuses what it doesn't take."""

import contextlib
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from outlook_sandbox.app import create_app, make_sandbox
from outlook_sandbox.client import SandboxControl
from outlook_sandbox.control.models import LONGEST_ADVANCE, Owner
from outlook_sandbox.control.problems import LARGEST_BODY
from outlook_sandbox.database import Database
from outlook_sandbox.faults import DeliverySilence, ErrorAnswer
from outlook_sandbox.settings import Settings
from tests.unit.sandbox.graph_client import EVERYTHING, Graph, Json, event, sandbox_graph
from tests.unit.sandbox.subscriber import subscriber

GUID = "00000000-0000-4000-8000-000000000000"
ICS = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Loaded\r\nDTSTART:20261124T090000Z\r\nEND:VEVENT\r\n"
    b"END:VCALENDAR\r\n"
)
SCHEMA = create_app(make_sandbox(Settings(), Database())).openapi()
OPERATIONS = [(method, path, found) for path, methods in SCHEMA["paths"].items() for method, found in methods.items()]
NAMES = [f"{method} {path}" for method, path, _ in OPERATIONS]
WITH_JSON = [
    (method, path) for method, path, found in OPERATIONS if "application/json" in found.get("requestBody", {}).get("content", {})
]


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with sandbox_graph() as made:
        yield made


@pytest.fixture
def control(graph: Graph) -> SandboxControl:
    return SandboxControl(client=graph.client)


def problem(answer: httpx2.Response, status: int) -> str:
    """The detail of a problem that is as RFC 9457 has it."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    told: dict[str, Any] = answer.json()
    assert told.keys() == {"type", "title", "status", "detail"}
    assert (told["type"], told["status"]) == ("about:blank", status)
    assert told["title"]
    assert told["detail"]
    return str(told["detail"])


# Its description


def references(found: object) -> Iterator[str]:
    if isinstance(found, dict):
        yield from ([found["$ref"]] if isinstance(found.get("$ref"), str) else [])
        for value in found.values():
            yield from references(value)
    elif isinstance(found, list):
        for value in found:
            yield from references(value)


async def test_its_description_is_openapi_3_1_and_whole(graph: Graph) -> None:
    described = (await graph.client.get("/sandbox/openapi.json")).json()
    assert described == SCHEMA
    assert described["openapi"].startswith("3.1.")
    assert set(references(described)) == {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert len({found["operationId"] for _, _, found in OPERATIONS}) == len(OPERATIONS)


@pytest.mark.parametrize(("method", "path", "found"), OPERATIONS, ids=NAMES)
def test_every_operation_says_what_it_does_takes_and_gives(method: str, path: str, found: Json) -> None:
    assert found["summary"]
    assert found["description"]
    assert set(re.findall(r"{(\w+)}", path)) == {each["name"] for each in found.get("parameters", []) if each["in"] == "path"}
    good = [answer for status, answer in found["responses"].items() if status.startswith("2")]
    assert all(answer.get("content") or status == "204" for status, answer in found["responses"].items())
    assert len(good) == 1
    for content in good[0].get("content", {}).values():
        assert content["schema"], "an answer without a model"
    for status, answer in found["responses"].items():
        if not status.startswith("2"):
            assert answer["content"] == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


@pytest.mark.parametrize(("method", "path"), WITH_JSON)
def test_every_body_has_an_example(method: str, path: str) -> None:
    schema = SCHEMA["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = SCHEMA["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    examples = schema.get("examples") or [
        {name: property["examples"][0] for name, property in schema["properties"].items() if "examples" in property}
    ]
    assert examples[0]


# Bad input


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in OPERATIONS if "{" in path])
async def test_what_is_not_there_is_404(graph: Graph, method: str, path: str) -> None:
    for name in (GUID, "'; --", "\N{PILE OF POO}"):
        if name != GUID and path.startswith(("/sandbox/v1/tenants/", "/sandbox/v1/apps/")):
            continue
        known = {"/sandbox/v1/accounts": {"username": "x@y.example", "name": "X"}}
        body = known.get(path) or example(method, path)
        sent: Json = {"json": body} if body is not None else {}
        if path.endswith("/ics") and method == "post":
            sent = {"content": ICS, "headers": {"Content-Type": "text/calendar"}}
        answer = await graph.client.request(method, re.sub(r"{\w+}", name, path), **sent)
        if (method, path) == ("put", "/sandbox/v1/apps/{app}"):
            assert answer.status_code == 200, "an app is made under the id that it is given"
        else:
            assert problem(answer, 404).startswith("There is no such ")


def example(method: str, path: str) -> Any:
    """A good body of a request, from the API's own description."""
    content = SCHEMA["paths"][path][method].get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    schema = content["schema"]
    if "$ref" in schema:
        schema = SCHEMA["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "examples" in schema:
        return schema["examples"][0]
    return {name: property["examples"][0] for name, property in schema["properties"].items() if "examples" in property}


async def test_what_is_unknown_beside_it_is_404_too(graph: Graph) -> None:
    account = f"/sandbox/v1/accounts/{graph.account.id}"
    for path in ("/calendars/nothing/invalidate-delta", "/calendars/nothing/ics"):
        sent: Json = {"content": ICS, "headers": {"Content-Type": "text/calendar"}}
        assert problem(await graph.client.post(account + path, **sent), 404) == "There is no such calendar."
    made = await graph.create()
    for wanted in ({"event": "nothing", "calendar": graph.calendar}, {"event": made["id"], "calendar": "nothing"}):
        problem(await graph.client.post(f"{account}/move", json=wanted), 404)
    assert problem(await graph.client.get("/sandbox/v1/nothing"), 404) == "Not Found"
    refused = await graph.client.put("/sandbox/v1/clock")
    assert (problem(refused, 405), refused.headers["allow"]) == ("Method Not Allowed", "GET")


@pytest.mark.parametrize(("method", "path"), WITH_JSON)
async def test_a_body_that_is_not_what_is_taken_is_refused(graph: Graph, method: str, path: str) -> None:
    url = path.replace("{account}", graph.account.id).replace("{tenant}", graph.account.tid).replace("{app}", GUID)
    good = json.dumps(example(method, path))
    unknown = json.dumps(example(method, path) | {"unheard_of": 1})
    wide = json.dumps(example(method, path) | {"name": "x" * 100_000, "reason": "x" * 100_000})
    deep = '{"name": ' + "[" * 100_000 + "]" * 100_000 + "}"
    before = graph.sandbox.accounts.all()
    contents = {content: 422 for content in ("", "{", "[]", "null", '"text"', unknown, good + "x", wide)} | {
        "\udcff": 400,
        deep: 400,
    }
    for content, status in contents.items():
        sent: Json = {"content": content.encode(errors="surrogateescape"), "headers": {"Content-Type": "application/json"}}
        assert len(problem(await graph.client.request(method, url, **sent), status)) < 2_000
    assert graph.sandbox.accounts.all() == before


async def test_a_refusal_says_where_the_mistake_is_and_not_what_was_sent(graph: Graph) -> None:
    answer = await graph.client.post("/sandbox/v1/accounts", json={"username": "s3cret", "nmae": "s3cret"})
    detail = problem(answer, 422)
    assert {part.split(":")[0] for part in detail.split("; ")} == {"body.username", "body.name", "body.nmae"}
    assert "s3cret" not in answer.text


async def test_a_body_may_be_large_but_not_huge(graph: Graph) -> None:
    path = f"/sandbox/v1/accounts/{graph.account.id}/calendars/{graph.calendar}/ics"
    headers = {"Content-Type": "text/calendar"}
    assert (await graph.client.post(path, content=ICS + b"\r\n" * 500_000, headers=headers)).status_code == 201
    huge = b" " * (LARGEST_BODY + 1)
    assert "16 MiB" in problem(await graph.client.post(path, content=huge, headers=headers), 413)
    sent: Json = {"content": huge, "headers": {"Content-Type": "application/json"}}
    problem(await graph.client.post("/sandbox/v1/accounts", **sent), 413)


async def test_other_doors_keep_their_own_way_of_refusing(graph: Graph) -> None:
    answer = await graph.client.get("/nothing/here")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    answer = await graph.client.post("/outlook/token", json={"unheard_of": 1})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/json")


# Accounts


async def test_an_account_is_made_as_it_is_wanted(control: SandboxControl) -> None:
    made = await control.create_account("Vera@Ting.example", "Vera Ting", tid=GUID, admin=True, events=7)
    assert (made.tid, made.kind, made.admin, made.disabled) == (GUID, "work", True, False)
    [calendar] = made.calendars
    assert (calendar.name, calendar.is_default_calendar, calendar.can_edit, calendar.events) == ("Calendar", True, True, 7)
    assert await control.account("vera@ting.EXAMPLE") == await control.account(made.id) == made
    personal = await control.create_account("jo@outlook.example", "Jo", kind="personal")
    assert personal.tid == "9188040d-6c67-4c5b-b112-36a304b66dad"
    assert personal.id.startswith("00000000-0000-0000-")


async def test_a_user_name_is_taken_once(graph: Graph, control: SandboxControl) -> None:
    await control.create_account("vera@ting.example", "Vera Ting")
    twice = {"username": "VERA@ting.example", "name": "Another"}
    assert "already" in problem(await graph.client.post("/sandbox/v1/accounts", json=twice), 409)


@pytest.mark.parametrize(
    "wrong",
    [
        {"username": "nobody"}, {"username": "a b@c.example"}, {"username": ""}, {"username": "x" * 300 + "@y.example"},
        {"name": ""}, {"name": None}, {"kind": "robot"}, {"tid": "common"}, {"tid": GUID.upper().replace("4", "A")},
        {"kind": "personal", "tid": GUID}, {"kind": "personal", "admin": True}, {"events": -1}, {"events": 10**9}, {"admin": "x"},
    ],
)  # fmt: skip
async def test_an_account_that_can_not_be_is_refused(graph: Graph, wrong: Json) -> None:
    before = graph.sandbox.accounts.all()
    answer = await graph.client.post("/sandbox/v1/accounts", json={"username": "x@y.example", "name": "X"} | wrong)
    problem(answer, 422)
    assert graph.sandbox.accounts.all() == before


async def test_accounts_are_listed_in_pages_and_found_by_a_part_of_their_name(graph: Graph, control: SandboxControl) -> None:
    for number in range(12):
        await control.create_account(f"page{number:02}@list.example", f"Person {number}")
    found: list[str] = []
    while len(found) < 12:
        query: dict[str, str | int] = {"limit": 5, "search": "LIST.example", "after": found[-1] if found else ""}
        page = [one["username"] for one in (await graph.client.get("/sandbox/v1/accounts", params=query)).json()]
        assert 1 <= len(page) <= 5
        found += page
    assert found == [f"page{number:02}@list.example" for number in range(12)]
    assert [one.username for one in await control.accounts("person 11")] == ["page11@list.example"]
    assert len(await control.accounts()) == len(graph.sandbox.accounts.all())
    assert await control.accounts("nobody of that name") == []


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=many", "unheard_of=1", "search=" + "x" * 300])
async def test_a_bad_query_is_refused(graph: Graph, query: str) -> None:
    problem(await graph.client.get(f"/sandbox/v1/accounts?{query}"), 422)


async def test_an_account_is_made_an_admin_disabled_and_enabled(control: SandboxControl) -> None:
    made = await control.create_account("vera@ting.example", "Vera Ting")
    assert (await control.change_account(made.id, disabled=True)).disabled
    changed = await control.change_account(made.id, admin=True, disabled=False)
    assert (changed.admin, changed.disabled, changed.username) == (True, False, made.username)
    assert (await control.change_account(made.id)) == changed


async def test_a_deleted_account_leaves_nothing_and_nobody_is_told(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.sqlite"
    database = Database(path)
    async with subscriber(database) as app:
        graph = app.graph
        control = SandboxControl(client=graph.client)
        made = await app.subscribe(lifecycleNotificationUrl=app.there.url, changeType="created")
        graph.sandbox.tokens.issue(graph.account.id, "an-app", EVERYTHING | {"offline_access"})
        graph.sandbox.tokens.consents.add(graph.account.id, "an-app", EVERYTHING)
        await graph.create()
        await app.told(posts=1)
        await control.switch_on(DeliverySilence(account=graph.account.username))
        await control.delete_account(graph.account.username)
        assert (await graph.ask("GET", "/me")).status_code == 401
        assert graph.account.id not in [account.id for account in await control.accounts()]
        assert (await control.subscriptions(), await control.faults()) == ([], [])
        assert graph.sandbox.subscriptions.get(made["id"]) is None
        problem(await graph.client.delete(f"/sandbox/v1/accounts/{graph.account.id}"), 404)
        await control.advance(seconds=Settings().settle_seconds)
        again = await control.create_account(graph.account.username, "Tess Again")
        assert again.id != graph.account.id
        assert sum(calendar.events for calendar in again.calendars) == 0
        assert app.lifecycle() == []
    database.close()
    with contextlib.closing(sqlite3.connect(path)) as stored:
        kinds = stored.execute("SELECT kind FROM documents WHERE kind || id || document GLOB ?", (f"*{graph.account.id}*",))
        assert {kind for (kind,) in kinds} == {"refresh-token"}, "which answers that there is no such user"


async def test_a_token_is_one_that_graph_takes_within_its_scopes(graph: Graph, control: SandboxControl) -> None:
    token = await control.token(graph.account.username, "my-app", ["Calendars.Read"])
    assert (await graph.ask("GET", "/me/calendars", token=token)).status_code == 200
    assert (await graph.ask("POST", "/me/events", event(), token=token)).status_code == 403
    [entry] = await control.journal(app="my-app", method="POST")
    assert (entry.account, entry.status) == (graph.account.id, 403)


# Calendars


async def test_a_shared_calendar_is_somebody_elses_and_read_only(graph: Graph, control: SandboxControl) -> None:
    sabine = Owner(name="Sabine Berg", address="sabine@berg.example")
    shared = await control.create_calendar(graph.account.id, "Berg", owner=sabine, color="lightRed")
    assert (shared.can_edit, shared.owner, shared.color) == (False, sabine, "lightRed")
    listed = {one["id"]: one for one in (await graph.get("/me/calendars"))["value"]}
    assert (listed[shared.id]["canEdit"], listed[shared.id]["owner"]["address"]) == (False, "sabine@berg.example")
    assert (await graph.ask("POST", f"/me/calendars/{shared.id}/events", event())).status_code == 403
    delegated = await control.create_calendar(graph.account.id, "Berg, for me too", owner=sabine, can_edit=True)
    assert (await graph.ask("POST", f"/me/calendars/{delegated.id}/events", event())).status_code == 201
    own = await control.create_calendar(graph.account.id, "Mine")
    assert (own.can_edit, own.owner.address) == (True, graph.account.username)
    account = await control.account(graph.account.id)
    assert [(one.name, one.events) for one in account.calendars[1:]] == [("Berg", 0), ("Berg, for me too", 1), ("Mine", 0)]


async def test_a_calendar_that_can_not_be_is_refused(graph: Graph) -> None:
    path = f"/sandbox/v1/accounts/{graph.account.id}/calendars"
    problem(await graph.client.post(path, json={"name": "calendar"}), 409)
    for wrong in ({"name": ""}, {"name": "x" * 256}, {"color": "pink"}, {"owner": {"name": "A"}}, {"owner": "A"}):
        problem(await graph.client.post(path, json={"name": "New"} | wrong), 422)
    assert len(graph.mailbox.calendars) == 1


async def test_an_event_moves_by_either_of_its_ids(graph: Graph, control: SandboxControl) -> None:
    other = await control.create_calendar(graph.account.id, "Other")
    made = await graph.create()
    moved = await control.move_event(graph.account.id, made["id"], other.id)
    assert moved.id != made["id"]
    assert (await graph.get(f"/me/calendars/{other.id}/events"))["value"][0]["id"] == moved.id
    back = await control.move_event(graph.account.id, moved.immutable_id, graph.calendar)
    assert back.immutable_id == moved.immutable_id


async def test_a_file_is_loaded_and_written(graph: Graph, control: SandboxControl) -> None:
    assert await control.load_ics(graph.account.id, graph.calendar, ICS) == 1
    assert b"SUMMARY:Loaded" in await control.export_ics(graph.account.username, graph.calendar)
    path = f"/sandbox/v1/accounts/{graph.account.id}/calendars/{graph.calendar}/ics"
    assert (await graph.client.get(path)).headers["content-type"] == "text/calendar; charset=utf-8"
    for content, kind, status in (
        (ICS, "text/plain", 415),
        (ICS, "", 415),
        (b"", "text/calendar", 400),
        (b"x", "text/calendar", 400),
    ):
        headers = {"Content-Type": kind} if kind else {}
        problem(await graph.client.post(path, content=content, headers=headers), status)
    assert len(graph.mailbox.events) == 1


async def test_a_calendars_sync_states_are_forgotten(graph: Graph, control: SandboxControl) -> None:
    _, link = await graph.delta()
    await control.invalidate_delta(graph.account.id, graph.calendar)
    assert (await graph.ask("GET", link)).status_code == 410


# Faults


async def test_each_kind_of_fault_is_described_and_can_be_switched_on(graph: Graph, control: SandboxControl) -> None:
    kinds = await control.fault_kinds()
    assert len({found.kind for found in kinds}) == len(kinds) > 20
    for found in kinds:
        assert found.description
        required = {name for name in found.json_schema.get("required", [])}
        settings: Json = {"seconds": 1, "aadsts": 50173}
        wanted = {"kind": found.kind} | {name: value for name, value in settings.items() if name in required}
        answer = await graph.client.post("/sandbox/v1/faults", json=wanted)
        assert answer.status_code == 201, answer.text
    on = await control.faults()
    assert [one.fault.kind for one in on] == [found.kind for found in kinds]
    await control.switch_off(on[0].id)
    assert await control.faults() == on[1:]
    await control.switch_all_off()
    await control.switch_all_off()
    assert await control.faults() == []
    problem(await graph.client.delete(f"/sandbox/v1/faults/{on[0].id}"), 404)


async def test_a_fault_strikes_the_account_that_is_named_and_is_counted(graph: Graph, control: SandboxControl) -> None:
    on = await control.switch_on(ErrorAnswer(account=graph.account.username.upper(), status=500, code="generalException", times=2))
    assert on.fault.account == graph.account.id
    assert [(await graph.ask("GET", "/me")).status_code for _ in range(3)] == [500, 500, 200]
    [seen] = await control.faults()
    assert (seen.id, seen.struck) == (on.id, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "unheard-of"}, {"kind": None}, {"kind": "graph-slow"}, {"kind": "graph-slow", "seconds": -1},
        {"kind": "graph-throttled", "probability": 2}, {"kind": "graph-throttled", "times": 0},
        {"kind": "graph-throttled", "status": 404}, {"kind": "token-error", "aadsts": 1}, {"kind": "delta-gone", "path": "/me"},
    ],
)  # fmt: skip
async def test_a_fault_that_can_not_be_is_refused(graph: Graph, wrong: Json) -> None:
    problem(await graph.client.post("/sandbox/v1/faults", json=wrong), 422)
    unknown = {"kind": "graph-conflict", "account": "nobody@ting.example"}
    problem(await graph.client.post("/sandbox/v1/faults", json=unknown), 404)
    assert not graph.sandbox.faults


# Subscriptions


async def test_subscriptions_are_listed_with_their_state_and_lifecycle_events_sent(tmp_path: Path) -> None:
    async with subscriber() as app:
        control = SandboxControl(client=app.graph.client)
        made = await app.subscribe(lifecycleNotificationUrl=app.there.url, changeType="created")
        [listed] = await control.subscriptions()
        assert (listed.id, listed.client_state, listed.creator_id) == (made["id"], "secret", app.graph.account.id)
        assert listed.expiration_date_time == datetime.fromisoformat(made["expirationDateTime"])
        await control.send_lifecycle(made["id"], "missed", "reauthorizationRequired")
        await app.there.until(lambda: len(app.lifecycle()) == 2)
        assert app.lifecycle() == ["missed", "reauthorizationRequired"]
        await app.told(posts=1)
        [delivery] = await control.deliveries()
        assert (delivery.address, delivery.state, delivery.waiting) == (app.there.url, "normal", 0)
        await control.send_lifecycle(made["id"], "subscriptionRemoved")
        await app.there.until(lambda: len(app.lifecycle()) == 3)
        assert await control.subscriptions() == []


async def test_no_lifecycle_event_goes_to_who_has_no_address_for_it() -> None:
    async with subscriber() as app:
        made = await app.subscribe()
        path = f"/sandbox/v1/subscriptions/{made['id']}/lifecycle"
        problem(await app.graph.client.post(path, json={"events": ["missed"]}), 409)
        for wrong in ([], ["unheard-of"], ["missed"] * 101, "missed"):
            problem(await app.graph.client.post(path, json={"events": wrong}), 422)


# The whole


async def test_the_clock_moves_forward_and_back_to_the_real_time(graph: Graph, control: SandboxControl) -> None:
    before = await control.now()
    ahead = await control.advance(days=3)
    assert ahead - before >= timedelta(days=3)
    assert (await graph.ask("GET", "/me")).status_code == 401, "the token has expired meanwhile"
    for wrong in (0, -1, LONGEST_ADVANCE + 1, 1e300, "soon", None):
        problem(await graph.client.post("/sandbox/v1/clock/advance", json={"seconds": wrong}), 422)
    for wrong in ("NaN", "Infinity", "1e999"):
        sent: Json = {"content": f'{{"seconds": {wrong}}}', "headers": {"Content-Type": "application/json"}}
        problem(await graph.client.post("/sandbox/v1/clock/advance", **sent), 422)
    back = await control.reset_clock()
    assert timedelta(0) <= back - before < timedelta(days=1)


async def test_the_clock_has_an_end(graph: Graph, control: SandboxControl) -> None:
    answer = await graph.client.post("/sandbox/v1/clock/advance", json={"seconds": 1})
    while answer.status_code == 200:
        answer = await graph.client.post("/sandbox/v1/clock/advance", json={"seconds": LONGEST_ADVANCE})
    assert "2200" in problem(answer, 409)
    assert (await control.now()).year == 2199
    assert (await graph.client.get("/v1.0/me")).status_code == 401


async def test_settings_are_shown_without_secrets(graph: Graph, control: SandboxControl) -> None:
    shown = await control.settings()
    assert (shown.limits.requests_at_once, shown.limits.batch_requests) == (4, 20)
    assert (shown.limits.subscription_minutes_longest, shown.limits.requests_per_10_minutes) == (10_070, 10_000)
    text = (await graph.client.get("/sandbox/v1/settings")).text
    for secret in (graph.sandbox.settings.client_secret, graph.sandbox.settings.oidc_client_secret):
        assert secret.get_secret_value() not in text


async def test_reset_forgets_everything() -> None:
    async with subscriber() as app:
        graph = app.graph
        sandbox, control = graph.sandbox, SandboxControl(client=graph.client)
        first = [account.username for account in await control.accounts()]
        await app.subscribe(lifecycleNotificationUrl=app.there.url)
        await graph.create()
        await app.told(posts=1)
        appointment = {"appointment": "apt_1", "organization": "org", "sequence": 1, "start": "2030-01-01T09:00:00Z"}
        told = json.dumps(appointment | {"end": "2030-01-01T10:00:00Z"}).encode()
        sandbox.feed.appointments.take(b"apt_1", told, datetime.now(UTC))
        sandbox.tokens.consents.add(graph.account.id, "an-app", EVERYTHING)
        await control.set_tenant_policy(graph.account.tid, "forbidden")
        await graph.client.post("/sandbox/v1/apps", json={"name": "Another"})
        await control.switch_on(ErrorAnswer())
        await control.advance(days=3)
        last = await control.last_request()
        await control.reset()
        await control.reset()
        assert [account.username for account in await control.accounts()] == [
            name for name in first if name != graph.account.username
        ]
        assert (await control.subscriptions(), await control.faults(), await control.journal()) == ([], [], [])
        assert await control.deliveries() == []
        assert await control.last_request() == last
        assert (len(sandbox.feed.appointments), len(await control.apps())) == (0, 1)
        assert graph.account.tid not in [tenant.id for tenant in await control.tenants()]
        assert abs(await control.now() - datetime.now(UTC)) < timedelta(hours=1)
        assert not sandbox.tokens.consents.of(graph.account.id, "an-app")
        assert (await graph.ask("GET", "/me")).status_code == 401
