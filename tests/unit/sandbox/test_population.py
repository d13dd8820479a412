"""Thousands of mailboxes by one call."""

from collections.abc import AsyncIterator
from datetime import UTC, timedelta

import pytest

from tests.unit.sandbox.graph_client import Graph, sandbox_graph

APP = "load"


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with sandbox_graph() as made:
        yield made


async def test_two_thousand_mailboxes_of_two_hundred_events_come_by_one_call(graph: Graph) -> None:
    wanted = {"mailboxes": 2000, "events": 200, "domain": "big.example", "app": APP}
    answer = await graph.client.post("/sandbox/v1/population", json=wanted)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert len({account["id"] for account in made["accounts"]}) == 2000
    for account in (made["accounts"][0], made["accounts"][-1]):
        found = await graph.get("/me/events?$top=1000", token=account["access_token"])
        assert len(found["value"]) == 200
    inhabitants = [account for account in graph.sandbox.accounts.all() if account.tid == made["tid"]]
    assert len(inhabitants) == 2000
    assert [len(graph.sandbox.mailboxes.of(account).events) for account in inhabitants[::100]] == [200] * 20


async def test_made_up_events_lie_around_the_sandboxs_own_today(graph: Graph) -> None:
    graph.sandbox.clock.advance(timedelta(days=700))
    await graph.client.post("/sandbox/v1/population", json={"mailboxes": 1, "events": 1, "domain": "later.example"})
    await graph.client.post("/sandbox/v1/accounts", json={"username": "lou@later.example", "name": "Lou", "events": 1})
    now = graph.sandbox.clock.now()
    for name in ("person1@later.example", "lou@later.example"):
        account = graph.sandbox.accounts.named(name)
        assert account
        [event] = graph.sandbox.mailboxes.of(account).events.values()
        assert now - timedelta(days=60) < event.span.start.wall.replace(tzinfo=UTC) < now


async def test_a_name_that_is_taken_makes_none_of_them(graph: Graph) -> None:
    wanted = {"mailboxes": 3, "domain": "small.example"}
    assert (await graph.client.post("/sandbox/v1/population", json=wanted | {"mailboxes": 1})).status_code == 201
    before = len(graph.sandbox.accounts.all())
    assert (await graph.client.post("/sandbox/v1/population", json=wanted)).status_code == 409
    assert len(graph.sandbox.accounts.all()) == before
