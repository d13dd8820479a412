"""Line 6: how change notifications arrive, late, twice, in the wrong order or not at all."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from outlook_sandbox.database import Database
from outlook_sandbox.delivery.endpoints import Endpoint as Judge
from outlook_sandbox.delivery.endpoints import Patience
from outlook_sandbox.faults import DeliveryDisorder, Faults
from tests.serving import until
from tests.unit.sandbox.graph_client import endpoint, sandbox_graph
from tests.unit.sandbox.subscriber import LIVELY, Subscriber, subscriber

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
async def app() -> AsyncIterator[Subscriber]:
    async with subscriber() as made:
        yield made


def _subjects(app: Subscriber) -> list[str]:
    """The subjects of the events that were told, in the order in which they were."""
    return [app.graph.mailbox.find(each["resourceData"]["id"]).fields["subject"] for each in app.there.notifications]  # type: ignore[union-attr]


async def test_one_post_carries_notifications_of_several_subscriptions(app: Subscriber) -> None:
    ids = {(await app.subscribe(changeType=types))["id"] for types in ("created", "updated", "created,updated")}
    await app.graph.create()
    await app.told(1)
    assert {entry["subscriptionId"] for entry in app.there.posted[0]["value"]} == ids


async def test_one_create_is_told_as_created_and_updated(app: Subscriber) -> None:
    await app.subscribe()
    await app.graph.create()
    await app.there.until(lambda: len(app.there.notifications) == 2)
    assert app.there.types() == ["created", "updated"]


async def test_duplicates_come_in_posts_of_their_own(app: Subscriber) -> None:
    await app.fault("delivery-duplicates", copies=2)
    await app.subscribe(changeType="created")
    await app.graph.create()
    await app.there.until(lambda: app.there.posts == 3)
    assert [posted["value"] for posted in app.there.posted] == [app.there.notifications[:1]] * 3


async def test_notifications_overtake_each_other(app: Subscriber) -> None:
    await app.subscribe(changeType="created")
    await app.fault("delivery-disorder", seconds=3600, times=3)
    subjects = ["first", "second", "third", "fourth"]
    for subject in subjects:
        await app.graph.create(subject)
    await app.there.until(lambda: app.there.posts == 1)
    await app.advance(hours=1)
    await app.there.until(lambda: app.there.posts == 4)
    assert _subjects(app)[0] == "fourth"
    assert sorted(_subjects(app)) == sorted(subjects)


def test_how_far_they_overtake_repeats_with_the_seed() -> None:
    faults, waits = Faults(Database()), []
    for seed in (1, 1, 2):
        armed = faults.add(DeliveryDisorder(seed=seed))
        struck = [faults.strike(DeliveryDisorder) for _ in range(3)]
        waits.append([faults.chance(each).random() for each in struck if each])
        faults.remove(armed.id)
    assert waits[0] == waits[1] != waits[2]
    assert len(set(waits[0])) == 3


async def test_for_a_while_nothing_comes_at_all(app: Subscriber) -> None:
    await app.fault("delivery-silence", times=2)
    await app.subscribe(changeType="created")
    for subject in ("lost", "lost too", "told"):
        await app.graph.create(subject)
    await app.there.until(lambda: app.there.posts == 1)
    assert _subjects(app) == ["told"]


async def test_a_query_in_the_url_is_kept(app: Subscriber) -> None:
    await app.subscribe(notificationUrl=f"{app.there.url}?for=us")
    await app.graph.create()
    await app.there.until(lambda: app.there.queries == ["for=us"])


async def test_the_first_answer_has_3_seconds_and_later_ones_10(app: Subscriber) -> None:
    assert app.graph.sandbox.delivery.patience == Patience(first=3, later=10, handshake=10)


async def test_what_is_not_answered_in_time_comes_again(app: Subscriber) -> None:
    app.graph.sandbox.delivery.patience = LIVELY
    await app.subscribe()
    app.there.awake.clear()
    await app.graph.create()
    await app.told(1)
    assert (app.shown().slow, app.shown().late) == (1, 0)
    await app.advance(seconds=1)
    await app.told(2)
    assert (app.shown().slow, app.shown().late) == (2, 1)
    app.there.awake.set()
    await app.advance(seconds=2)
    await app.there.until(lambda: len(app.there.notifications) == 2)
    assert app.there.posted[0] == app.there.posted[1] == app.there.posted[2]


@pytest.mark.parametrize("status", [500, 400, 302, 304])
async def test_any_status_but_2xx_brings_the_whole_batch_again(app: Subscriber, status: int) -> None:
    await app.subscribe()
    app.there.statuses = [status]
    app.there.headers["location"] = app.there.url
    await app.graph.create()
    await app.told(1)
    await app.advance(seconds=1)
    await app.told(2)
    assert app.there.posted[0] == app.there.posted[1]
    assert len(app.there.posted[0]["value"]) == 2
    await until(lambda: app.shown().waiting == 0)


async def test_waits_double_from_a_second_to_ten_minutes(app: Subscriber) -> None:
    await app.subscribe()
    waits = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]
    app.there.statuses = [503] * len(waits)
    await app.graph.create()
    for posts, wait in enumerate(waits, start=1):
        await app.told(posts)
        await app.advance(seconds=wait)
    await app.there.until(lambda: len(app.there.notifications) == 2)
    assert app.there.posts == len(waits) + 1


async def test_after_4_hours_it_is_given_up(app: Subscriber) -> None:
    await app.subscribe(changeType="created", lifecycleNotificationUrl=f"{app.there.url}?lifecycle")
    app.there.statuses = [503]
    await app.graph.create("given up")
    await app.told(1)
    await app.advance(hours=4, seconds=1)
    await until(lambda: app.shown().waiting == 0)
    await app.graph.create("told")
    await app.there.until(lambda: "missed" in app.lifecycle())
    assert len([query for query in app.there.queries if not query]) == 2


async def test_nobody_there_is_no_response_but_is_tried_again(app: Subscriber) -> None:
    async with endpoint() as gone:
        await app.subscribe(notificationUrl=gone.url)
    await app.graph.create()
    states = app.graph.sandbox.delivery.states
    await until(lambda: states()[0].posts == 1)
    await app.advance(seconds=1)
    await until(lambda: states()[0].posts == 2)
    [shown] = states()
    assert (shown.address, shown.responses, shown.waiting) == (gone.url, 0, 2)


async def test_what_waits_for_a_deleted_or_ended_subscription_is_dropped(app: Subscriber) -> None:
    made = await app.subscribe(changeType="created")
    await app.subscribe(changeType="updated", minutes=45)
    await app.subscribe(changeType="created,updated", minutes=600)
    app.there.statuses = [503]
    await app.graph.create()
    await app.told(1)
    await app.graph.ask("DELETE", f"/subscriptions/{made['id']}")
    await app.advance(minutes=46)
    await app.told(2)
    assert [len(posted["value"]) for posted in app.there.posted] == [4, 2]


async def test_what_waits_survives_a_restart(tmp_path: Path) -> None:
    database = Database(tmp_path / "sandbox.sqlite")
    async with endpoint() as there:
        async with sandbox_graph(database=database) as graph:
            app = Subscriber(graph, there)
            await app.subscribe()
            there.statuses = [503]
            await graph.create()
            await app.told(1)
        database.close()
        database = Database(tmp_path / "sandbox.sqlite")
        async with sandbox_graph(database=database) as graph:
            graph.sandbox.delivery.start()
            await there.until(lambda: len(there.notifications) == 2)
            assert there.posted[0] == there.posted[1]
            await until(lambda: graph.sandbox.delivery.states()[0].waiting == 0)
        database.close()
    assert Database(tmp_path / "sandbox.sqlite").load("notification") == {}


# An address that answers slowly.


def _judge(*seconds: float) -> Judge:
    judge = Judge("http://there", Patience())
    for each in seconds:
        judge.note(NOON, each)
    return judge


def test_more_than_10_percent_over_3_seconds_is_slow() -> None:
    assert _judge(*[0.1] * 18, 3.1, 3.1).state(NOON) == "normal"
    assert _judge(*[0.1] * 17, 3.1, 3.1).state(NOON) == "slow"
    assert _judge(*[3.1] * 9).state(NOON) == "normal"


def test_more_than_15_percent_over_10_seconds_is_drop() -> None:
    assert _judge(*[0.1] * 17, *[10.1] * 3).state(NOON) == "slow"
    assert _judge(*[0.1] * 16, *[10.1] * 3).state(NOON) == "drop"


def test_only_the_last_10_minutes_count() -> None:
    judge = _judge(*[3.1] * 5)
    later = NOON + timedelta(minutes=10)
    for _ in range(10):
        judge.note(later, 0.1)
    assert judge.state(later) == "normal"


def test_slow_is_looked_at_again_every_10_minutes() -> None:
    judge = _judge(*[3.1] * 10)
    for minute in range(1, 10):
        judge.note(NOON + timedelta(minutes=minute), 3.1)
    assert judge.state(NOON + timedelta(minutes=9)) == "slow"
    assert judge.state(NOON + timedelta(minutes=10)) == "normal"
    judge = _judge(*[3.1] * 10)
    for _ in range(10):
        judge.note(NOON + timedelta(minutes=9), 3.1)
    assert judge.state(NOON + timedelta(minutes=10)) == "slow"
    assert judge.state(NOON + timedelta(minutes=19)) == "slow"
    assert judge.state(NOON + timedelta(minutes=20)) == "normal"


def test_a_clock_that_is_put_back_makes_no_state_longer() -> None:
    assert _judge(*[3.1] * 10).state(NOON - timedelta(days=3)) == "normal"


def test_drop_ends_with_a_probe_that_is_answered() -> None:
    judge = _judge(*[10.1] * 10)
    later = NOON + timedelta(minutes=10)
    assert judge.state(later) == "probe"
    judge.note(later, 10.1)
    assert judge.state(later) == "drop"
    later += timedelta(minutes=10)
    assert judge.state(later) == "probe"
    judge.note(later, 0.1)
    assert judge.state(later) == "normal"


async def test_new_notifications_for_a_slow_address_are_10_minutes_late(app: Subscriber) -> None:
    app.graph.sandbox.delivery.patience = LIVELY
    await app.subscribe(changeType="created")
    await _answer_nine(app)
    app.there.awake.clear()
    await app.graph.create()
    await app.told(10)
    await app.graph.create()
    await app.told(11)
    assert app.shown().state == "slow"
    app.there.awake.set()
    await app.advance(seconds=1)
    await app.told(13)
    await app.graph.create("late")
    await until(lambda: app.shown().waiting == 1)
    await app.advance(minutes=10)
    await app.there.until(lambda: app.there.posts == 14)
    assert _subjects(app)[-1] == "late"
    assert app.shown().state == "normal"


async def test_notifications_for_a_dropped_address_are_lost_and_missed_is_told_when_it_works_again(app: Subscriber) -> None:
    app.graph.sandbox.delivery.patience = LIVELY
    made = await app.subscribe(changeType="created", lifecycleNotificationUrl=f"{app.there.url}?lifecycle")
    await _answer_nine(app)
    app.there.awake.clear()
    await app.graph.create("tried again")
    for posts, wait in ((10, 1), (11, 2), (12, 0.1)):
        await app.told(posts)
        await app.advance(seconds=wait)
    assert app.shown().state == "drop"
    await app.graph.create("lost")
    assert app.shown().waiting == 1
    app.there.awake.set()
    await app.advance(minutes=10)
    await app.there.until(lambda: "missed" in app.lifecycle())
    assert app.there.notifications[-1]["subscriptionId"] == made["id"]
    assert "lifecycleEvent" in app.there.notifications.pop()
    assert _subjects(app)[-1] == "tried again"
    assert app.shown().state == "normal"


async def _answer_nine(app: Subscriber) -> None:
    for posts in range(1, 10):
        await app.graph.create()
        await app.told(posts)


# A subscription whose token is stale.


async def test_notifications_are_held_until_the_token_is_fresh_and_the_address_suffers_nothing(app: Subscriber) -> None:
    await app.fault("delivery-hold")
    made = await app.subscribe(changeType="created")
    await app.advance(hours=1)
    await app.graph.create("held")
    await until(lambda: app.shown().held == 1)
    assert (app.there.posts, app.shown().responses) == (0, 0)
    await app.graph.ask("POST", f"/subscriptions/{made['id']}/reauthorize")
    await app.told(1)
    await app.graph.create("not held")
    await app.told(2)
    assert _subjects(app) == ["held", "not held"]


async def test_what_is_held_for_4_hours_is_lost(app: Subscriber) -> None:
    await app.fault("delivery-hold")
    made = await app.subscribe(changeType="created")
    await app.advance(hours=1)
    await app.graph.create("lost")
    await until(lambda: app.shown().held == 1)
    await app.advance(hours=4, seconds=1)
    await until(lambda: app.shown().waiting == 0)
    ends = (app.graph.sandbox.clock.now() + timedelta(hours=1)).isoformat()
    await app.graph.ask("PATCH", f"/subscriptions/{made['id']}", {"expirationDateTime": ends})
    await app.graph.create("told")
    await app.told(1)
    assert _subjects(app) == ["told"]


async def test_a_stale_token_holds_nothing_unless_the_fault_is_on(app: Subscriber) -> None:
    await app.subscribe(changeType="created")
    await app.advance(hours=1)
    await app.graph.create()
    await app.told(1)
