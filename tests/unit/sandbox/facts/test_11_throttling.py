"""FACTS 10.11: 4 concurrent per app and mailbox, 10,000 in ten minutes, 25 lists of subscriptions, throttling in batches."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest

from outlook_sandbox.accounts import new_account
from outlook_sandbox.faults import Slow, Throttled
from outlook_sandbox.settings import Settings
from tests.serving import until
from tests.unit.sandbox.graph_client import APP, EVERYTHING, Graph, sandbox_graph

OTHER_APP = "another-app"


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with sandbox_graph() as made:
        yield made


def code(answer: httpx2.Response) -> str:
    found: str = answer.json()["error"]["code"]
    return found


def token(graph: Graph, app: str = APP) -> str:
    return graph.sandbox.tokens.issue(graph.account.id, app, EVERYTHING).access_token


def somebody_else(graph: Graph) -> str:
    """A token of the same app for an account of another tenant."""
    other = graph.sandbox.accounts.add(new_account("work", "else@other.example", "Else"))
    return graph.sandbox.tokens.issue(other.id, APP, EVERYTHING).access_token


def advance(graph: Graph, seconds: float) -> None:
    graph.sandbox.clock.advance(timedelta(seconds=seconds))


async def at_once(graph: Graph, *tokens: str) -> list[httpx2.Response]:
    """Requests whose answers are all under way at the same time."""
    slow = graph.sandbox.faults.add(Slow(path="/me/calendars", seconds=60))
    asked = [asyncio.create_task(graph.ask("GET", "/me/calendars", token=bearer)) for bearer in tokens]
    await until(lambda: slow.struck + sum(task.done() for task in asked) == len(asked))
    advance(graph, 60)
    graph.sandbox.faults.remove(slow.id)
    return await asyncio.gather(*asked)


async def test_four_requests_at_once_are_answered(graph: Graph) -> None:
    answers = await at_once(graph, *[graph.token] * 4)
    assert [answer.status_code for answer in answers] == [200] * 4


async def test_a_fifth_request_at_once_is_application_throttled_with_retry_after_1(graph: Graph) -> None:
    answers = await at_once(graph, *[graph.token] * 6)
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 2
    for answer in refused:
        assert code(answer) == "ApplicationThrottled"
        assert answer.json()["error"]["message"] == "Application is over its MailboxConcurrency limit."
        assert answer.headers["retry-after"] == "1"
    assert (await graph.ask("GET", "/me/calendars")).status_code == 200


async def test_the_four_are_those_of_one_app_and_one_mailbox(graph: Graph) -> None:
    tokens = [graph.token] * 4 + [token(graph, OTHER_APP)] * 4 + [somebody_else(graph)] * 4
    answers = await at_once(graph, *tokens)
    assert [answer.status_code for answer in answers] == [200] * 12


async def test_another_token_of_the_same_app_and_mailbox_shares_the_four(graph: Graph) -> None:
    answers = await at_once(graph, *[graph.token] * 3, *[token(graph)] * 3)
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [429] * 2


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("retry_after", ["1", "2.128", None])
async def test_throttling_is_429_or_503_with_retry_after_whole_decimal_or_absent(
    graph: Graph, status: int, retry_after: str | None
) -> None:
    fault = {"kind": "graph-throttled", "account": graph.account.username, "status": status, "retry_after": retry_after, "times": 1}
    assert (await graph.client.post("/sandbox/v1/faults", json=fault)).status_code == 201
    answer = await graph.ask("GET", "/me/calendars")
    assert (answer.status_code, code(answer)) == (status, "ApplicationThrottled")
    assert answer.headers.get("retry-after") == retry_after
    assert (await graph.ask("GET", "/me/calendars")).status_code == 200


async def test_ten_thousand_requests_per_ten_minutes_is_the_limit_unless_set_otherwise() -> None:
    assert Settings().requests_per_10_minutes == 10_000


async def test_one_request_too_many_in_ten_minutes_is_told_how_many_whole_seconds_to_wait() -> None:
    async with sandbox_graph(Settings(requests_per_10_minutes=10)) as graph:
        for _ in range(10):
            await graph.get("/me/calendars")
        answer = await graph.ask("GET", "/me/calendars")
        assert (answer.status_code, code(answer)) == (429, "ApplicationThrottled")
        assert answer.json()["error"]["message"] == "Application is over its RequestsPer10Minutes limit."
        wait = int(answer.headers["retry-after"])
        assert 0 < wait <= 600
        for other in (token(graph, OTHER_APP), somebody_else(graph)):
            await graph.get("/me/calendars", token=other)
        advance(graph, wait)
        await graph.get("/me/calendars")


async def test_requests_that_are_refused_count_too_so_that_hurrying_makes_it_worse() -> None:
    async with sandbox_graph(Settings(requests_per_10_minutes=10)) as graph:
        for _ in range(10):
            await graph.get("/me/calendars")
        advance(graph, 300)
        hurried = [(await graph.ask("GET", "/me/calendars")).status_code for _ in range(7)]
        advance(graph, 301)
        later = [(await graph.ask("GET", "/me/calendars")).status_code for _ in range(5)]
        assert hurried + later == [429] * 7 + [200] * 3 + [429] * 2


async def test_requests_of_a_batch_count_each_and_the_batch_itself_does_not() -> None:
    async with sandbox_graph(Settings(requests_per_10_minutes=10)) as graph:
        steps = [{"id": str(number), "method": "GET", "url": "/me/calendars"} for number in range(8)]
        first, second = [(await graph.ask("POST", "/$batch", {"requests": steps})).json()["responses"] for _ in range(2)]
        assert [entry["status"] for entry in first] == [200] * 8
        assert sorted(entry["status"] for entry in second) == [200] * 2 + [429] * 6


async def test_listing_subscriptions_more_than_25_times_in_20_seconds_is_too_many_requests(graph: Graph) -> None:
    for _ in range(25):
        await graph.get("/subscriptions")
    answer = await graph.ask("GET", "/subscriptions")
    assert (answer.status_code, code(answer)) == (429, "TooManyRequests")
    error = answer.json()["error"]
    assert error["message"] == "Please retry again later."
    assert {name: error["innerError"][name] for name in ("code", "status", "message")} == {
        "code": "429",
        "status": "429",
        "message": "Please retry after",
    }
    assert 0 < int(answer.headers["retry-after"]) <= 20
    assert (await graph.ask("GET", "/subscriptions/unknown")).status_code == 404
    assert (await graph.ask("GET", "/subscriptions", token=token(graph, OTHER_APP))).status_code == 200
    advance(graph, int(answer.headers["retry-after"]))
    await graph.get("/subscriptions")


async def test_one_app_lists_subscriptions_40_times_in_20_seconds_over_all_tenants(graph: Graph) -> None:
    for _ in range(25):
        await graph.get("/subscriptions")
    other = somebody_else(graph)
    statuses = [(await graph.ask("GET", "/subscriptions", token=other)).status_code for _ in range(17)]
    assert statuses == [200] * 15 + [429] * 2


async def test_writing_and_reauthorizing_subscriptions_have_limits_of_their_own(graph: Graph) -> None:
    deleted = [(await graph.ask("DELETE", "/subscriptions/x")).status_code for _ in range(501)]
    assert deleted == [404] * 500 + [429]
    renewed = [(await graph.ask("POST", "/subscriptions/x/reauthorize")).status_code for _ in range(1001)]
    assert renewed == [404] * 1000 + [429]
    read = [(await graph.ask("GET", "/subscriptions/x")).status_code for _ in range(501)]
    assert read == [404] * 500 + [429]


async def test_a_batch_is_200_with_200_429_and_424_inside_in_shuffled_order(graph: Graph) -> None:
    graph.sandbox.faults.add(Throttled(path="/me/calendars", retry_after="7"))
    steps = [
        {"id": str(number), "method": "GET", "url": f"/me/{name}"} for number, name in enumerate(("calendar", "calendars") * 4)
    ]
    answer = await graph.ask("POST", "/$batch", {"requests": steps})
    assert answer.status_code == 200
    responses = answer.json()["responses"]
    assert {entry["id"]: entry["status"] for entry in responses} == {str(number): (200, 429)[number % 2] for number in range(8)}
    assert [entry["id"] for entry in responses] != sorted(entry["id"] for entry in responses)
    assert {entry["headers"]["Retry-After"] for entry in responses if entry["status"] == 429} == {"7"}
    chain = [step | ({"dependsOn": [str(int(step["id"]) - 1)]} if step["id"] != "0" else {}) for step in steps]
    responses = (await graph.ask("POST", "/$batch", {"requests": chain})).json()["responses"]
    assert [entry["status"] for entry in sorted(responses, key=lambda entry: entry["id"])] == [200, 429] + [424] * 6
