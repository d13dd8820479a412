"""Subscriptions and change notifications of the sandbox, against a real endpoint on this machine."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from outlook_sandbox.database import Database
from tests.unit.sandbox.graph_client import IMMUTABLE, Endpoint, Graph, Json, endpoint, sandbox_graph, weekly


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with sandbox_graph() as made:
        yield made


@pytest.fixture
async def there() -> AsyncIterator[Endpoint]:
    async with endpoint() as made:
        yield made


def wanted(graph: Graph, there: Endpoint, minutes: float = 600, **more: object) -> Json:
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    return {
        "changeType": "created,updated,deleted",
        "notificationUrl": there.url,
        "resource": f"/me/calendars/{graph.calendar}/events",
        "expirationDateTime": until.isoformat(),
        "clientState": "secret",
    } | more


async def subscribe(graph: Graph, there: Endpoint, headers: dict[str, str] | None = None, **more: object) -> Json:
    answer = await graph.ask("POST", "/subscriptions", wanted(graph, there, **more), headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


async def test_both_addresses_must_repeat_a_token_that_needs_decoding(graph: Graph, there: Endpoint) -> None:
    made = await subscribe(graph, there, lifecycleNotificationUrl=f"{there.url}?a=b")
    assert len(there.handshakes) == 2
    assert all(sign in there.handshakes[0] for sign in "+:% ")
    assert (made["clientState"], made["latestSupportedTlsVersion"]) == ("secret", "v1_2")
    assert made["creatorId"] == graph.account.id


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (lambda token: "other", "Response must exactly match validationToken query parameter."),
        (lambda token: token.replace("+", " "), "Response must exactly match validationToken query parameter."),
    ],
)
async def test_an_address_that_does_not_repeat_it_is_refused(graph: Graph, there: Endpoint, reply: object, message: str) -> None:
    there.reply = reply  # type: ignore[assignment]
    answer = await graph.ask("POST", "/subscriptions", wanted(graph, there))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ValidationError")
    assert answer.json()["error"]["message"] == f"Subscription validation request failed. {message}"
    assert graph.sandbox.subscriptions.all() == []


async def test_an_address_that_nobody_answers_at_is_refused(graph: Graph, there: Endpoint) -> None:
    body = wanted(graph, there, notificationUrl="http://127.0.0.1:9/nobody")
    answer = await graph.ask("POST", "/subscriptions", body)
    assert answer.json()["error"]["message"] == (
        "Subscription validation request failed. Notification endpoint must respond with 200 OK to validation request."
    )


async def test_what_a_subscription_may_not_be(graph: Graph, there: Endpoint) -> None:
    for change, status, code in (
        ({"notificationUrl": "http://example.org/x"}, 400, "InvalidRequest"),
        ({"changeType": "moved"}, 400, "InvalidRequest"),
        ({"clientState": "x" * 129}, 400, "InvalidRequest"),
        ({"resource": "/me/messages"}, 400, "InvalidRequest"),
        ({"resource": "/me/events/one"}, 400, "InvalidRequest"),
        ({"latestSupportedTlsVersion": ["v1_2"]}, 400, "InvalidRequest"),
        ({"expirationDateTime": "soon"}, 400, "InvalidRequest"),
        ({"expirationDateTime": "2020-01-01T00:00:00Z"}, 400, "InvalidRequest"),
        ({"surprise": 1}, 400, "RequestBodyRead"),
    ):
        answer = await graph.ask("POST", "/subscriptions", wanted(graph, there, **change))
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), change
    assert there.handshakes == []


async def test_its_life_is_45_to_10070_minutes(graph: Graph, there: Endpoint) -> None:
    answer = await graph.ask("POST", "/subscriptions", wanted(graph, there, 10_071))
    assert answer.json()["error"]["message"] == (
        "Operation: Create; Exception: [Status Code: BadRequest; "
        "Reason: Subscription expiration can only be 10070 minutes in the future.]"
    )
    made = await subscribe(graph, there, minutes=1)
    left = datetime.fromisoformat(made["expirationDateTime"]) - datetime.now(UTC)
    assert timedelta(minutes=44) < left <= timedelta(minutes=45)


async def test_a_second_one_for_the_same_is_a_conflict_that_names_the_first(graph: Graph, there: Endpoint) -> None:
    made = await subscribe(graph, there)
    answer = await graph.ask("POST", "/subscriptions", wanted(graph, there, changeType="deleted, created, updated"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ObjectIdentifierInUse")
    assert re.findall(r"Subscription Id (\S+) already exists", answer.json()["error"]["message"]) == [made["id"]]
    assert len(there.handshakes) == 1
    await subscribe(graph, there, changeType="created")


async def test_it_is_read_without_its_secret_renewed_reauthorized_and_deleted(graph: Graph, there: Endpoint) -> None:
    made = await subscribe(graph, there)
    path = f"/subscriptions/{made['id']}"
    assert [entry["clientState"] for entry in (await graph.get("/subscriptions"))["value"]] == [None]
    assert (await graph.get(path))["clientState"] is None
    until = (datetime.now(UTC) + timedelta(days=6)).isoformat()
    answer = await graph.ask("PATCH", path, {"expirationDateTime": until})
    assert datetime.fromisoformat(answer.json()["expirationDateTime"]) == datetime.fromisoformat(until)
    assert (await graph.ask("PATCH", path, {"clientState": "x"})).status_code == 400
    assert (await graph.ask("POST", f"{path}/reauthorize")).status_code == 204
    assert (await graph.ask("DELETE", path)).status_code == 204
    for method, suffix, body in (
        ("PATCH", "", {"expirationDateTime": until}),
        ("POST", "/reauthorize", None),
        ("DELETE", "", None),
    ):
        assert (await graph.ask(method, path + suffix, body)).status_code == 404


async def test_past_its_time_it_is_gone_without_a_word(graph: Graph, there: Endpoint) -> None:
    made = await subscribe(graph, there)
    await graph.client.post("/sandbox/v1/clock/advance", json={"seconds": 601 * 60})
    graph.token = graph.token_for("Calendars.ReadWrite")
    assert (await graph.ask("GET", f"/subscriptions/{made['id']}")).status_code == 404
    await graph.create()
    assert there.posts == 0


async def test_a_change_is_told_in_outlooks_words(graph: Graph, there: Endpoint) -> None:
    made = await subscribe(graph, there)
    created = await graph.create()
    await there.until(lambda: len(there.notifications) == 2)
    assert there.types() == ["created", "updated"]
    assert there.posts == 1
    told = there.notifications[0]
    resource = f"Users/{graph.account.id}/Events/{created['id']}"
    assert told == {
        "subscriptionId": made["id"],
        "subscriptionExpirationDateTime": told["subscriptionExpirationDateTime"],
        "changeType": "created",
        "resource": resource,
        "resourceData": {
            "@odata.type": "#Microsoft.Graph.Event",
            "@odata.id": resource,
            "@odata.etag": created["@odata.etag"],
            "id": created["id"],
        },
        "clientState": "secret",
        "tenantId": graph.account.tid,
    }
    assert re.fullmatch(r".*T.*\.\d{6}0[+-]\d\d:\d\d", told["subscriptionExpirationDateTime"])
    ends = [datetime.fromisoformat(shown) for shown in (told["subscriptionExpirationDateTime"], made["expirationDateTime"])]
    assert ends[0] == ends[1]
    await graph.ask("DELETE", f"/me/events/{created['id']}")
    await there.until(lambda: len(there.notifications) == 3)
    assert there.types()[2] == "deleted"


async def test_ids_in_notifications_are_those_preferred_at_creation(graph: Graph, there: Endpoint) -> None:
    await subscribe(graph, there, headers=IMMUTABLE)
    made = await graph.create()
    await there.until(lambda: len(there.notifications) == 2)
    shown = await graph.get(f"/me/events/{made['id']}", headers=IMMUTABLE)
    assert there.notifications[0]["resourceData"]["id"] == shown["id"]


async def test_only_the_calendar_and_the_changes_asked_for_are_told(graph: Graph, there: Endpoint) -> None:
    other = (await graph.ask("POST", "/me/calendars", {"name": "Other"})).json()["id"]
    await subscribe(graph, there, resource=f"/me/calendars/{other}/events", changeType="deleted")
    await subscribe(graph, there, resource=f"users/{graph.account.id}/events", changeType="created")
    made = await graph.create()
    await graph.client.post(f"/sandbox/v1/accounts/{graph.account.id}/move", json={"event": made["id"], "calendar": other})
    moved = (await graph.get(f"/me/calendars/{other}/events"))["value"][0]
    await graph.ask("DELETE", f"/me/events/{moved['id']}")
    await there.until(lambda: len(there.notifications) == 3)
    assert sorted(there.types()) == ["created", "created", "deleted"]


async def test_a_deleted_occurrence_is_only_an_update_of_its_series(graph: Graph, there: Endpoint) -> None:
    series = await graph.create(recurrence=weekly("2026-11-24"))
    await subscribe(graph, there)
    occurrence = (await graph.view("2026-11-23T00:00:00Z", "2026-12-09T00:00:00Z"))[1]
    await graph.ask("DELETE", f"/me/events/{occurrence['id']}")
    await there.until(lambda: len(there.notifications) == 1)
    assert there.types() == ["updated"]
    assert there.notifications[0]["resourceData"]["id"] == series["id"]


async def test_a_post_that_fails_comes_again(graph: Graph, there: Endpoint) -> None:
    await subscribe(graph, there)
    there.statuses = [503]
    await graph.create()
    await there.until(lambda: len(there.notifications) == 2)
    assert there.posts == 2


async def test_a_shared_calendar_can_not_be_subscribed_to(graph: Graph, there: Endpoint) -> None:
    anna = graph.sandbox.accounts.named("anna.keller@bergpraxis.example")
    assert anna
    shared = next(entry for entry in graph.sandbox.mailboxes.of(anna).calendars.values() if not entry.can_edit)
    token = graph.sandbox.tokens.issue(anna.id, "app", frozenset(("Calendars.ReadWrite",))).access_token
    body = wanted(graph, there, resource=f"/me/calendars/{shared.id}/events")
    answer = await graph.ask("POST", "/subscriptions", body, token=token)
    assert answer.json()["error"]["message"] == "Operation: Create; Exception: [Status Code: Forbidden; Reason: Forbidden]"


async def test_a_mailbox_has_room_for_a_thousand_subscriptions(graph: Graph, there: Endpoint) -> None:
    await subscribe(graph, there)
    (first,) = graph.sandbox.subscriptions.all()
    for number in range(999):
        graph.sandbox.subscriptions.add(msgspec.structs.replace(first, id=str(number), app=str(number)))
    answer = await graph.ask("POST", "/subscriptions", wanted(graph, there, changeType="created"))
    assert answer.status_code == 403
    assert "limit of 1000" in answer.json()["error"]["message"]


async def test_subscriptions_survive_a_restart(tmp_path: Path, there: Endpoint) -> None:
    database = Database(tmp_path / "sandbox.sqlite")
    async with sandbox_graph(database=database) as graph:
        made = await subscribe(graph, there)
    database.close()
    database = Database(tmp_path / "sandbox.sqlite")
    async with sandbox_graph(database=database) as graph:
        assert [kept.id for kept in graph.sandbox.subscriptions.all()] == [made["id"]]
    database.close()
