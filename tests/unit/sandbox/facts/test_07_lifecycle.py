"""Line 7: what Graph tells an app of a subscription's own life."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from tests.unit.sandbox.graph_client import Json
from tests.unit.sandbox.subscriber import Subscriber, subscriber


@pytest.fixture
async def app() -> AsyncIterator[Subscriber]:
    async with subscriber() as made:
        yield made


async def _subscribe(app: Subscriber, **more: object) -> Json:
    return await app.subscribe(lifecycleNotificationUrl=app.there.url, **more)


async def _then_only_missed(app: Subscriber, made: Json, *before: str) -> None:
    """Nothing else is told: what is sent now comes next."""
    app.graph.sandbox.lifecycle.send(app.of(made), "missed")
    await app.there.until(lambda: app.lifecycle()[-1:] == ["missed"])
    assert app.lifecycle() == [*before, "missed"]


async def test_the_three_events_have_a_subscription_and_neither_resource_nor_change_type(app: Subscriber) -> None:
    made = await _subscribe(app)
    app.graph.sandbox.lifecycle.send(app.of(made), "reauthorizationRequired", "missed", "subscriptionRemoved")
    await app.there.until(lambda: len(app.there.notifications) == 3)
    for told in app.there.notifications:
        assert told | {"subscriptionExpirationDateTime": "", "lifecycleEvent": ""} == {
            "subscriptionId": made["id"],
            "subscriptionExpirationDateTime": "",
            "tenantId": app.graph.account.tid,
            "clientState": "secret",
            "lifecycleEvent": "",
        }
        expires = datetime.fromisoformat(told["subscriptionExpirationDateTime"])
        assert expires == datetime.fromisoformat(made["expirationDateTime"])


async def test_events_of_several_kinds_and_subscriptions_come_in_one_post(app: Subscriber) -> None:
    first, second = await _subscribe(app, changeType="created"), await _subscribe(app, changeType="updated")
    app.graph.sandbox.lifecycle.send(app.of(first), "missed", "reauthorizationRequired")
    app.graph.sandbox.lifecycle.send(app.of(second), "missed")
    await app.there.until(lambda: app.there.posts == 1)
    told = [(entry["subscriptionId"], entry["lifecycleEvent"]) for entry in app.there.posted[0]["value"]]
    assert told == [(first["id"], "missed"), (first["id"], "reauthorizationRequired"), (second["id"], "missed")]


async def test_they_are_never_in_a_post_with_changes(app: Subscriber) -> None:
    made = await _subscribe(app, changeType="created")
    await app.graph.create()
    app.graph.sandbox.lifecycle.send(app.of(made), "missed")
    await app.there.until(lambda: app.there.posts == 2)
    assert [len(posted["value"]) for posted in app.there.posted] == [1, 1]


async def test_reauthorization_is_required_before_the_token_ends(app: Subscriber) -> None:
    made = await _subscribe(app)
    await app.advance(minutes=44)
    await _then_only_missed(app, made)
    await app.advance(minutes=1)
    await app.there.until(lambda: len(app.lifecycle()) == 2)
    assert app.lifecycle() == ["missed", "reauthorizationRequired"]


async def test_reauthorization_is_required_before_the_subscription_ends(app: Subscriber) -> None:
    made = await _subscribe(app, minutes=50)
    await app.advance(minutes=30)
    await app.graph.ask("POST", f"/subscriptions/{made['id']}/reauthorize")
    await _then_only_missed(app, made)
    await app.advance(minutes=6)
    await app.there.until(lambda: app.lifecycle() == ["missed", "reauthorizationRequired"])


async def test_it_is_repeated_every_15_minutes_while_nothing_happens(app: Subscriber) -> None:
    made = await _subscribe(app)
    await app.advance(minutes=45)
    for times in range(1, 6):
        await app.there.until(lambda times=times: len(app.lifecycle()) == times)  # type: ignore[misc]
        await app.advance(minutes=15)
    await app.there.until(lambda: len(app.lifecycle()) == 6)
    await _then_only_missed(app, made, *["reauthorizationRequired"] * 6)


async def test_days_at_once_bring_it_once(app: Subscriber) -> None:
    made = await _subscribe(app, minutes=10_000)
    await app.advance(days=3)
    await app.there.until(lambda: len(app.lifecycle()) == 1)
    await _then_only_missed(app, made, "reauthorizationRequired")


@pytest.mark.parametrize("how", ["reauthorize", "patch"])
async def test_it_stops_with_a_fresh_token_until_that_ends(app: Subscriber, how: str) -> None:
    made = await _subscribe(app)
    await app.advance(minutes=45)
    await app.there.until(lambda: len(app.lifecycle()) == 1)
    if how == "patch":
        ends = app.graph.sandbox.clock.now() + timedelta(days=1)
        await app.graph.ask("PATCH", f"/subscriptions/{made['id']}", {"expirationDateTime": ends.isoformat()})
    else:
        await app.graph.ask("POST", f"/subscriptions/{made['id']}/reauthorize")
    await app.advance(minutes=44)
    await _then_only_missed(app, made, "reauthorizationRequired")
    await app.advance(minutes=1)
    await app.there.until(lambda: app.lifecycle()[2:] == ["reauthorizationRequired"])


async def test_renewing_with_a_stale_token_starts_no_storm(app: Subscriber) -> None:
    made = await _subscribe(app)
    await app.advance(minutes=50, fresh_token=False)
    for _ in range(3):
        await app.there.until(lambda: len(app.lifecycle()) == 1)
        answer = await app.graph.ask("POST", f"/subscriptions/{made['id']}/reauthorize")
        assert answer.status_code == 204
    await _then_only_missed(app, made, "reauthorizationRequired")


async def test_a_revoked_grant_removes_the_subscriptions_and_says_so(app: Subscriber) -> None:
    made = [await _subscribe(app, changeType=types) for types in ("created", "updated")]
    app.graph.sandbox.lifecycle.revoked(app.graph.account.id)
    assert (await app.graph.get("/subscriptions"))["value"] == []
    await app.there.until(lambda: app.lifecycle() == ["subscriptionRemoved"] * 2)
    assert {told["subscriptionId"] for told in app.there.notifications} == {entry["id"] for entry in made}


async def test_of_a_changed_password_nothing_may_be_said(app: Subscriber) -> None:
    await _subscribe(app)
    app.graph.sandbox.lifecycle.revoked(app.graph.account.id, silently=True)
    assert app.graph.sandbox.subscriptions.all() == []
    await _then_only_missed(app, await _subscribe(app))


async def test_a_mode_never_sends_them(app: Subscriber) -> None:
    await app.fault("lifecycle-silence")
    made = await _subscribe(app)
    await app.advance(minutes=50)
    app.graph.sandbox.lifecycle.send(app.of(made), "missed")
    await app.graph.create()
    await app.there.until(lambda: app.there.posts == 1)
    assert app.lifecycle() == []


async def test_without_a_url_for_them_none_is_sent(app: Subscriber) -> None:
    made = await app.subscribe(changeType="created")
    app.graph.sandbox.lifecycle.send(app.of(made), "missed")
    await app.advance(minutes=50)
    await app.graph.create()
    await app.there.until(lambda: app.there.posts == 1)
    assert app.lifecycle() == []


async def test_one_that_is_not_taken_comes_again(app: Subscriber) -> None:
    made = await _subscribe(app)
    app.there.statuses = [500]
    app.graph.sandbox.lifecycle.send(app.of(made), "subscriptionRemoved")
    await app.told(1)
    app.graph.sandbox.subscriptions.remove(app.of(made))
    await app.advance(seconds=1)
    await app.there.until(lambda: app.lifecycle() == ["subscriptionRemoved"])


async def test_they_come_twice_where_duplicates_do(app: Subscriber) -> None:
    made = await _subscribe(app)
    await app.fault("delivery-duplicates")
    app.graph.sandbox.lifecycle.send(app.of(made), "missed")
    await app.there.until(lambda: app.lifecycle() == ["missed"] * 2)


async def test_a_reset_forgets_what_was_to_be_told(app: Subscriber) -> None:
    await _subscribe(app)
    app.there.statuses = [500]
    await app.graph.create()
    await app.told(1)
    assert (await app.graph.client.post("/sandbox/v1/reset")).status_code == 204
    assert app.graph.sandbox.delivery.states() == []
    await app.graph.client.post("/sandbox/v1/clock/advance", json={"seconds": 3600})
    assert app.there.posts == 1
