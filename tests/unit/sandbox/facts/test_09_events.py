"""What a simulator of Graph must do, line 9: events."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from outlook_sandbox.app import make_sandbox
from outlook_sandbox.database import Database
from outlook_sandbox.faults import Conflict
from outlook_sandbox.settings import Settings
from tests.serving import until
from tests.unit.sandbox.graph_client import IMMUTABLE, Endpoint, Graph, Json, endpoint, event, sandbox_graph, weekly

STALE = (412, "ErrorIrresolvableConflict")


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with sandbox_graph(Settings(settle_seconds=2)) as made:
        yield made


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def changed(graph: Graph, made: Json) -> Json:
    """The event once it is no longer what it was."""

    async def now() -> Json | None:
        shown = await graph.get(f"/me/events/{made['id']}")
        return shown if shown["changeKey"] != made["changeKey"] else None

    found: Json = await until(now)
    return found


async def settled(graph: Graph, made: Json) -> Json:
    """The event once it has changed by itself."""
    graph.sandbox.clock.advance(timedelta(seconds=2))
    return await changed(graph, made)


async def subscribe(graph: Graph, there: Endpoint) -> None:
    expires = graph.sandbox.clock.now() + timedelta(days=2)
    body = {
        "changeType": "created,updated,deleted",
        "notificationUrl": there.url,
        "resource": f"/me/calendars/{graph.calendar}/events",
        "expirationDateTime": expires.isoformat(),
        "clientState": "s",
    }
    assert (await graph.ask("POST", "/subscriptions", body)).status_code == 201


async def test_change_key_and_etag_move_on_every_write(graph: Graph) -> None:
    keys = [made := await graph.create()]
    keys += [await graph.patch(made["id"], {"subject": subject}) for subject in ("A", "B", "B")]
    assert len({shown["changeKey"] for shown in keys}) == 4
    assert all(shown["@odata.etag"] == f'W/"{shown["changeKey"]}"' for shown in keys)


async def test_change_key_moves_once_more_by_itself_after_create(graph: Graph) -> None:
    made = await graph.create()
    assert (await graph.get(f"/me/events/{made['id']}"))["changeKey"] == made["changeKey"]
    now = await settled(graph, made)
    moving = {"changeKey", "@odata.etag", "lastModifiedDateTime"}
    assert {name for name in now if now[name] != made[name]} == moving
    await settled(graph, await graph.create("another"))
    assert (await graph.get(f"/me/events/{made['id']}"))["changeKey"] == now["changeKey"]


async def test_if_match_with_the_etag_of_the_create_fails_once_the_event_has_settled(graph: Graph) -> None:
    made = await graph.create()
    now = await settled(graph, made)
    path = f"/me/events/{made['id']}"
    assert refusal(await graph.ask("PATCH", path, {"subject": "x"}, {"If-Match": made["@odata.etag"]})) == STALE
    assert (await graph.ask("PATCH", path, {"subject": "x"}, {"If-Match": now["@odata.etag"]})).status_code == 200


async def test_the_settled_event_comes_again_in_delta(graph: Graph) -> None:
    made = await graph.create()
    _, link = await graph.delta()
    now = await settled(graph, made)
    items, _ = await graph.delta(link)
    assert [(item["id"], item["@odata.etag"]) for item in items] == [(made["id"], now["@odata.etag"])]


async def test_one_create_is_told_as_created_and_as_updated_when_it_settles(graph: Graph) -> None:
    async with endpoint() as there:
        await subscribe(graph, there)
        made = await graph.create()
        await there.until(lambda: bool(there.notifications))
        assert there.types() == ["created"]
        now = await settled(graph, made)
        await there.until(lambda: len(there.notifications) == 2)
    assert there.types() == ["created", "updated"]
    assert [told["resourceData"]["@odata.etag"] for told in there.notifications] == [made["@odata.etag"], now["@odata.etag"]]


async def test_an_event_deleted_before_it_settles_is_not_touched_and_a_changed_one_is(graph: Graph) -> None:
    gone, kept = await graph.create("gone"), await graph.create("kept")
    await graph.ask("DELETE", f"/me/events/{gone['id']}")
    patched = await graph.patch(kept["id"], {"subject": "changed"})
    assert (await settled(graph, patched))["subject"] == "changed"
    assert (await graph.ask("GET", f"/me/events/{gone['id']}")).status_code == 404
    items, _ = await graph.delta()
    assert [item["subject"] for item in items] == ["changed"]


async def test_an_event_that_has_not_settled_when_the_sandbox_stops_has_when_it_starts_again(tmp_path: Path) -> None:
    database = Database(tmp_path / "sandbox.sqlite")
    async with sandbox_graph(Settings(settle_seconds=600), database) as graph:
        made = await graph.create()
    database.close()
    again = make_sandbox(Settings(), Database(tmp_path / "sandbox.sqlite"))
    mailbox = again.mailboxes.of(graph.account)
    event = mailbox.find(made["id"])
    assert event
    assert mailbox.etag(event.key) != made["@odata.etag"]
    again.database.close()


async def test_a_reset_forgets_what_has_not_settled(graph: Graph) -> None:
    await graph.create()
    assert (await graph.client.post("/sandbox/v1/reset")).status_code == 204
    key = graph.mailbox.key
    graph.sandbox.clock.advance(timedelta(seconds=10))
    await asyncio.sleep(0.01)
    assert graph.mailbox.key == key


async def test_a_clock_that_was_put_back_holds_up_no_settling() -> None:
    async with sandbox_graph(Settings(settle_seconds=0.05)) as graph:
        graph.sandbox.clock.advance(timedelta(minutes=30))
        first = await graph.create()
        graph.sandbox.clock.clear()
        second = await graph.create()
        await changed(graph, first)
        await changed(graph, second)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_if_match_with_an_old_etag_is_refused_on_patch_and_delete(graph: Graph, method: str) -> None:
    made = await graph.create()
    fresh = await graph.patch(made["id"], {"subject": "A"})
    path, body = f"/me/events/{made['id']}", {"subject": "B"} if method == "PATCH" else None
    assert refusal(await graph.ask(method, path, body, {"If-Match": made["@odata.etag"]})) == STALE
    assert (await graph.ask(method, path, body, {"If-Match": fresh["@odata.etag"]})).is_success


async def test_without_if_match_the_last_writer_wins_per_property(graph: Graph) -> None:
    made = await graph.create()
    await graph.patch(made["id"], {"subject": "A"})
    await graph.patch(made["id"], {"categories": ["Red category"]})
    shown = await graph.get(f"/me/events/{made['id']}")
    assert (shown["subject"], shown["categories"]) == ("A", ["Red category"])


async def test_a_412_may_come_without_any_precondition_and_a_retry_succeeds(graph: Graph) -> None:
    graph.sandbox.faults.add(Conflict(times=2))
    assert refusal(await graph.ask("GET", "/me/calendars")) == STALE
    assert refusal(await graph.ask("POST", "/me/events", event())) == STALE
    assert (await graph.ask("POST", "/me/events", event())).status_code == 201
    assert len(graph.mailbox.events) == 1


@pytest.mark.parametrize("empty", [[], None])
async def test_categories_are_replaced_as_a_whole_and_cleared_by_an_empty_array(graph: Graph, empty: object) -> None:
    made = await graph.create(categories=["Red category", "Blue category"])
    patched = await graph.patch(made["id"], {"categories": ["Not in the master list"]})
    assert patched["categories"] == ["Not in the master list"]
    assert (await graph.patch(made["id"], {"categories": empty}))["categories"] == []


async def test_a_subject_is_changed_by_itself_and_emptied_by_null(graph: Graph) -> None:
    made = await graph.create(categories=["Red category"])
    patched = await graph.patch(made["id"], {"subject": "Massage, 30 minutes"})
    assert (patched["subject"], patched["categories"]) == ("Massage, 30 minutes", ["Red category"])
    assert (await graph.patch(made["id"], {"subject": None}))["subject"] == ""


async def test_the_id_changes_on_a_move_and_the_immutable_one_does_not(graph: Graph) -> None:
    made = await graph.create()
    immutable = (await graph.get(f"/me/events/{made['id']}", headers=IMMUTABLE))["id"]
    other = graph.mailbox.add_calendar("Other")
    found = graph.mailbox.find(made["id"])
    assert found is not None
    graph.mailbox.move(found, other.id)
    assert refusal(await graph.ask("GET", f"/me/events/{made['id']}")) == (404, "ErrorItemNotFound")
    moved = await graph.get(f"/me/events/{immutable}")
    assert moved["id"] not in (made["id"], immutable)
    assert (await graph.get(f"/me/events/{moved['id']}", headers=IMMUTABLE))["id"] == immutable


async def test_a_repeated_transaction_id_answers_201_and_makes_no_second_event(graph: Graph) -> None:
    first, second = await graph.create(transactionId="one"), await graph.create("Other", transactionId="one")
    assert (second["id"], second["subject"]) == (first["id"], first["subject"])
    assert len(graph.mailbox.events) == 1
    answer = await graph.ask("PATCH", f"/me/events/{first['id']}", {"transactionId": "two"})
    assert refusal(answer) == (400, "ErrorInvalidPropertySet")


async def test_nothing_can_be_written_where_can_edit_is_false(graph: Graph) -> None:
    shared = graph.mailbox.add_calendar("Holidays", owner=("Sabine", "sabine@practice.example"))
    held = await graph.create()
    found = graph.mailbox.find(held["id"])
    assert found is not None
    graph.mailbox.move(found, shared.id)
    path = f"/me/calendars/{shared.id}"
    shown = await graph.get(path)
    assert (shown["canEdit"], shown["canShare"], shown["owner"]["address"]) == (False, False, "sabine@practice.example")
    (held,) = (await graph.get(f"{path}/events"))["value"]
    for answer in (
        await graph.ask("POST", f"{path}/events", event()),
        await graph.ask("PATCH", f"{path}/events/{held['id']}", {"subject": "x"}),
        await graph.ask("DELETE", f"/me/events/{held['id']}"),
        await graph.ask("PATCH", path, {"name": "Mine"}),
    ):
        assert refusal(answer) == (403, "ErrorAccessDenied")
        assert answer.json()["error"]["message"] == "Access is denied. Check credentials and try again."


async def test_a_deleted_event_is_404_by_either_id(graph: Graph) -> None:
    made = await graph.create()
    immutable = (await graph.get(f"/me/events/{made['id']}", headers=IMMUTABLE))["id"]
    assert (await graph.ask("DELETE", f"/me/events/{made['id']}")).status_code == 204
    for identifier in (made["id"], immutable):
        for method, body in (("GET", None), ("PATCH", {"subject": "x"}), ("DELETE", None)):
            answer = await graph.ask(method, f"/me/events/{identifier}", body)
            assert refusal(answer) == (404, "ErrorItemNotFound")
            assert answer.json()["error"]["message"] == "The specified object was not found in the store."


async def test_a_patched_occurrence_becomes_an_exception(graph: Graph) -> None:
    await graph.create(recurrence=weekly("2026-11-24"), categories=["Red category"])
    first, second = await graph.view("2026-11-23T00:00:00Z", "2026-12-02T00:00:00Z")
    patched = await graph.patch(second["id"], {"categories": []})
    assert (patched["type"], patched["categories"]) == ("exception", [])
    assert (await graph.get(f"/me/events/{first['id']}"))["categories"] == ["Red category"]
