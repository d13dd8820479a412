"""What notifications say of which changes, and that subscriptions are kept."""

import re
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from outlook_sandbox.database import Database
from tests.unit.sandbox.graph_client import sandbox_graph, weekly
from tests.unit.sandbox.subscriber import Subscriber, subscriber


@pytest.fixture
async def app() -> AsyncIterator[Subscriber]:
    async with subscriber() as made:
        yield made


async def test_a_change_is_told_in_outlooks_words(app: Subscriber) -> None:
    made = await app.subscribe()
    created = await app.graph.create()
    await app.there.until(lambda: len(app.there.notifications) == 2)
    assert app.there.types() == ["created", "updated"]
    assert app.there.posts == 1
    told = app.there.notifications[0]
    resource = f"Users/{app.graph.account.id}/Events/{created['id']}"
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
        "tenantId": app.graph.account.tid,
    }
    assert re.fullmatch(r".*T.*\.\d{6}0[+-]\d\d:\d\d", told["subscriptionExpirationDateTime"])
    ends = [datetime.fromisoformat(shown) for shown in (told["subscriptionExpirationDateTime"], made["expirationDateTime"])]
    assert ends[0] == ends[1]
    await app.graph.ask("DELETE", f"/me/events/{created['id']}")
    await app.there.until(lambda: len(app.there.notifications) == 3)
    assert app.there.types()[2] == "deleted"


async def test_only_the_calendar_and_the_changes_asked_for_are_told(app: Subscriber) -> None:
    graph = app.graph
    other = (await graph.ask("POST", "/me/calendars", {"name": "Other"})).json()["id"]
    await app.subscribe(resource=f"/me/calendars/{other}/events", changeType="deleted")
    await app.subscribe(resource=f"users/{graph.account.id}/events", changeType="created")
    made = await graph.create()
    await graph.client.post(f"/sandbox/v1/accounts/{graph.account.id}/move", json={"event": made["id"], "calendar": other})
    moved = (await graph.get(f"/me/calendars/{other}/events"))["value"][0]
    await graph.ask("DELETE", f"/me/events/{moved['id']}")
    await app.there.until(lambda: len(app.there.notifications) == 3)
    assert sorted(app.there.types()) == ["created", "created", "deleted"]


async def test_a_deleted_occurrence_is_only_an_update_of_its_series(app: Subscriber) -> None:
    series = await app.graph.create(recurrence=weekly("2026-11-24"))
    await app.subscribe()
    occurrence = (await app.graph.view("2026-11-23T00:00:00Z", "2026-12-09T00:00:00Z"))[1]
    await app.graph.ask("DELETE", f"/me/events/{occurrence['id']}")
    await app.there.until(lambda: len(app.there.notifications) == 1)
    assert app.there.types() == ["updated"]
    assert app.there.notifications[0]["resourceData"]["id"] == series["id"]


async def test_subscriptions_survive_a_restart(tmp_path: Path) -> None:
    database = Database(tmp_path / "sandbox.sqlite")
    async with subscriber(database) as app:
        made = await app.subscribe()
    database.close()
    database = Database(tmp_path / "sandbox.sqlite")
    async with sandbox_graph(database=database) as graph:
        assert [kept.id for kept in graph.sandbox.subscriptions.all()] == [made["id"]]
    database.close()
