"""Many requests in one: which batches Graph takes, and what becomes of each request inside."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from outlook_sandbox.faults import BatchUnpaced, ErrorAnswer, Slow, Throttled
from tests.serving import until
from tests.unit.sandbox.graph_client import Graph, Json, sandbox_graph

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with sandbox_graph() as made:
        yield made


def get(name: str, url: str = "/me", *after: str) -> Json:
    return {"id": name, "method": "GET", "url": url} | ({"dependsOn": list(after)} if after else {})


async def batch(graph: Graph, *steps: Json, **more: Any) -> dict[str, Json]:
    answer = await graph.ask("POST", "/$batch", {"requests": steps}, **more)
    assert answer.status_code == 200, answer.text
    answers = answer.json()["responses"]
    assert len(answers) == len(steps)
    return {entry["id"]: entry for entry in answers}


def statuses(answers: dict[str, Json]) -> dict[str, int]:
    return {name: entry["status"] for name, entry in answers.items()}


async def refused(graph: Graph, *steps: Json) -> str:
    answer = await graph.ask("POST", "/$batch", {"requests": steps})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")
    message: str = answer.json()["error"]["message"]
    return message


async def test_each_request_is_answered_for_itself(graph: Graph) -> None:
    made = await graph.create()
    path = f"/me/events/{made['id']}"
    answers = await batch(
        graph,
        get("read", path),
        get("gone", "/me/events/gone"),
        {"id": "write", "method": "PATCH", "url": path, "body": {"subject": "B"}, "headers": JSON},
        get("typed", f"{path}?$select=subject"),
    )
    assert statuses(answers) == {"read": 200, "gone": 404, "write": 200, "typed": 200}
    assert answers["write"]["body"]["subject"] == "B"
    assert answers["gone"]["body"]["error"]["code"] == "ErrorItemNotFound"
    assert answers["read"]["headers"]["Content-Type"] == "application/json"
    assert answers["typed"]["body"].keys() == {"@odata.context", "@odata.etag", "id", "subject"}


async def test_an_answer_without_a_body_says_so(graph: Graph) -> None:
    made = await graph.create()
    answers = await batch(graph, {"id": "1", "method": "DELETE", "url": f"/me/events/{made['id']}"})
    assert answers["1"] == {"id": "1", "status": 204, "headers": {}, "body": None}


async def test_answers_come_in_an_order_of_their_own_that_repeats(graph: Graph) -> None:
    for count in range(2, 21):
        steps = [get(str(number)) for number in range(count)]
        asked = [step["id"] for step in steps]
        orders = []
        for _ in range(2):
            answer = await graph.ask("POST", "/$batch", {"requests": steps})
            orders.append([entry["id"] for entry in answer.json()["responses"]])
        assert orders[0] == orders[1] != asked
        assert sorted(orders[0]) == sorted(asked)


async def test_a_sequence_ends_at_the_first_failure(graph: Graph) -> None:
    answers = await batch(graph, get("A"), get("b", "/me/events/gone", "a"), get("c", "/me", "B"), get("d", "/me", "c"))
    assert statuses(answers) == {"A": 200, "b": 404, "c": 424, "d": 424}
    assert answers["d"]["body"]["error"]["code"] == "FailedDependency"


async def test_a_sequence_runs_in_its_order(graph: Graph) -> None:
    made = await graph.create("0")
    path = f"/me/events/{made['id']}"
    patch: Json = {"method": "PATCH", "url": path, "headers": JSON}
    steps: list[Json] = [patch | {"id": str(number), "body": {"subject": str(number)}} for number in range(20)]
    for before, step in pairwise(steps):
        step["dependsOn"] = [before["id"]]
    assert set(statuses(await batch(graph, *steps)).values()) == {200}
    assert (await graph.get(path))["subject"] == "19"


async def test_all_may_wait_for_the_same_one_wherever_it_stands(graph: Graph) -> None:
    answers = await batch(graph, get("a", "/me", "root"), get("root"), get("b", "/me", "root"))
    assert statuses(answers) == {"a": 200, "root": 200, "b": 200}
    answers = await batch(graph, get("a", "/me", "root"), get("root", "/me/events/gone"), get("b", "/me", "root"))
    assert statuses(answers) == {"a": 424, "root": 404, "b": 424}


async def test_others_may_run_beside_a_sequence(graph: Graph) -> None:
    answers = await batch(graph, get("1", "/me/events/gone"), get("2", "/me", "1"), get("3"), get("4", "/me", "2"))
    assert statuses(answers) == {"1": 404, "2": 424, "3": 200, "4": 424}


@pytest.mark.parametrize(
    "steps",
    [
        [get("1"), get("2", "/me", "1"), get("3"), get("4", "/me", "3")],
        [get("1"), get("2"), get("3", "/me", "1", "2")],
        [get("1"), get("2", "/me", "nobody")],
        [get("1", "/me", "1")],
        [get("1", "/me", "2"), get("2", "/me", "1")],
    ],
    ids=["two chains", "after two", "after nobody", "after itself", "a ring"],
)
async def test_other_orders_are_refused(graph: Graph, steps: list[Json]) -> None:
    assert await refused(graph, *steps) == "Batch should be either fully sequential or fully parallel."


async def test_a_batch_holds_one_to_twenty_requests_with_ids_of_their_own(graph: Graph) -> None:
    await batch(graph, *(get(str(number)) for number in range(20)))
    assert "limit of 20" in await refused(graph, *(get(str(number)) for number in range(21)))
    assert await refused(graph) == "Invalid batch payload format."
    assert await refused(graph, get("a"), get("A")) == "Request Id A has to be unique in a batch."
    assert (await graph.ask("POST", "/$batch", {"requests": [{"id": "1"}]})).status_code == 400
    assert (await graph.ask("POST", "/$batch", [get("1")])).status_code == 400


async def test_a_request_that_writes_needs_a_body_and_its_type(graph: Graph) -> None:
    made = await graph.create()
    patch = {"id": "1", "method": "PATCH", "url": f"/me/events/{made['id']}"}
    words = "Write request id : 1 does not contain Content-Type header or body."
    assert await refused(graph, patch) == words
    assert await refused(graph, patch | {"body": {}}) == words
    assert await refused(graph, patch | {"headers": JSON}) == words
    assert await refused(graph, get("1") | {"body": {}}) == words
    await batch(graph, patch | {"body": {}, "headers": {"content-type": "application/json"}})


async def test_addresses_are_relative_and_no_batches(graph: Graph) -> None:
    assert "relative" in await refused(graph, get("1", "https://graph.microsoft.com/v1.0/me"))
    inner = {"id": "1", "method": "POST", "url": "/$batch", "headers": JSON, "body": {"requests": [get("1")]}}
    assert "no batch" in await refused(graph, inner)
    assert statuses(await batch(graph, get("1", "me"), get("2", "/v1.0/me"), get("3", ""))) == {"1": 200, "2": 400, "3": 400}


async def test_the_whole_addresses_of_the_python_sdk_are_taken(graph: Graph) -> None:
    assert statuses(await batch(graph, get("1", f"{graph.client.base_url}/v1.0/me"))) == {"1": 200}


async def test_microsofts_own_example_is_answered_although_little_of_it_is_known_here(graph: Graph) -> None:
    answers = await batch(
        graph,
        get("1", "/me/drive/root:/{file}:/content"),
        get("2", "/me/planner/tasks"),
        get("3", "/groups/{id}/events"),
        {"id": "4", "url": "/me", "method": "PATCH", "body": {"city": "Redmond"}, "headers": JSON},
    )
    assert statuses(answers) == {"1": 400, "2": 400, "3": 400, "4": 405}
    assert all(entry["body"]["error"]["code"] for entry in answers.values())


async def test_more_than_four_run_four_at_a_time(graph: Graph) -> None:
    slow = graph.sandbox.faults.add(Slow(path="/me", seconds=60))
    answering = asyncio.create_task(batch(graph, *(get(str(number)) for number in range(20))))
    for fours in range(1, 6):
        await until(lambda fours=fours: slow.struck == 4 * fours)  # type: ignore[misc]
        graph.sandbox.clock.advance(timedelta(seconds=60))
    assert set(statuses(await answering).values()) == {200}


async def test_a_batch_that_runs_all_at_once_is_throttled_beyond_four(graph: Graph) -> None:
    graph.sandbox.faults.add(BatchUnpaced(account=graph.account.id))
    answers = await batch(graph, *(get(str(number)) for number in range(20)))
    assert sorted(statuses(answers).values()) == [200] * 4 + [429] * 16
    refusal = next(entry for entry in answers.values() if entry["status"] == 429)
    assert (refusal["headers"]["Retry-After"], refusal["body"]["error"]["code"]) == ("1", "ApplicationThrottled")
    answers = await batch(graph, get("0"), *(get(str(number), "/me", str(number - 1)) for number in range(1, 20)))
    assert set(statuses(answers).values()) == {200}


async def test_throttling_strikes_the_requests_inside_and_what_depends_on_them(graph: Graph) -> None:
    fault = graph.sandbox.faults.add(Throttled(path="/me/calendars", retry_after="2.128"))
    answers = await batch(graph, get("1"), get("2", "/me/calendars", "1"), get("3", "/me", "2"))
    assert statuses(answers) == {"1": 200, "2": 429, "3": 424}
    assert answers["2"]["headers"]["Retry-After"] == "2.128"
    graph.sandbox.faults.remove(fault.id)
    graph.sandbox.faults.add(Throttled())
    assert statuses(await batch(graph, get("1"), get("2"))) == {"1": 429, "2": 429}


async def test_the_batch_itself_can_fail(graph: Graph) -> None:
    graph.sandbox.faults.add(ErrorAnswer(path="/$batch", times=1))
    assert (await graph.ask("POST", "/$batch", {"requests": [get("1")]})).status_code == 503
    assert statuses(await batch(graph, get("1"))) == {"1": 200}


async def test_requests_inside_carry_headers_of_their_own(graph: Graph) -> None:
    made = await graph.create()
    read = get("1", f"/me/events/{made['id']}") | {"headers": {"Prefer": 'IdType="ImmutableId"'}}
    stale = {"id": "2", "method": "PATCH", "url": f"/me/events/{made['id']}", "body": {}, "headers": JSON | {"If-Match": 'W/"x"'}}
    answers = await batch(graph, read, stale)
    assert answers["1"]["body"]["id"] != made["id"]
    assert answers["1"]["headers"]["Preference-Applied"] == 'IdType="ImmutableId"'
    assert answers["2"]["status"] == 412


async def test_the_journal_marks_requests_that_came_in_a_batch(graph: Graph) -> None:
    await batch(graph, get("1", "/me/calendars"))
    entries = [(entry.path, entry.batch) for entry in graph.sandbox.journal.entries()]
    assert entries == [("/v1.0/me/calendars", True), ("/v1.0/$batch", False)]


async def test_another_users_path_is_refused_inside_too(graph: Graph) -> None:
    own, other = f"/users/{graph.account.username}/calendars", "/users/somebody@else.example/calendars"
    assert statuses(await batch(graph, get("1", own), get("2", other))) == {"1": 200, "2": 403}
