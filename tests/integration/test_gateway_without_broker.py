"""The gateway while its broker is away, and when aiokafka by itself would not get over that."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from common.client_state import PROBE_CALENDAR
from common.errors import Transient
from common.ids import new_id
from common.messages import NotificationReceived
from tests.integration.gateway_world import HANDSHAKE, NOTIFICATIONS, Broker, Serving, body, gateway
from tests.kafka_reading import settings_of
from tests.serving import until
from webhook_gateway import lanes, publishing
from webhook_gateway.publishing import Publisher


async def test_while_the_broker_is_away_posts_are_refused_and_what_was_accepted_is_not_lost(broker: Broker) -> None:
    calendar, accepted, number = new_id("cal"), list[str](), 0

    async def post() -> int:
        nonlocal number
        number += 1
        answer = await ours.post(f"outage-{number}", calendar)
        if answer.status_code == 202:
            accepted.append(f"outage-{number}")
        else:
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        return answer.status_code

    async def again() -> bool:
        return await post() == 202

    async with gateway(broker) as ours:
        assert await post() == 202

        broker.hold()
        first = asyncio.create_task(ours.post("given-up", calendar))
        await until(lambda: ours.intake.posts == 1)
        second = asyncio.create_task(ours.post("given-up-too", calendar))
        assert [(await first).status_code, (await second).status_code] == [503, 503]
        async with asyncio.timeout(20):  # not a tenth of what it took if each waited for the broker
            assert {await post() for _ in range(100)} == {503}
        assert (await ours.http.post(HANDSHAKE)).status_code == 200
        broker.release()
        await until(again)

        await broker.line.cut()
        assert await post() == 503
        await broker.line.listen()
        await until(again)
        assert ours.holds == (0, 0)
    await broker.has(accepted)


async def test_our_own_probe_is_refused_like_any_post_while_the_broker_is_away(broker: Broker) -> None:
    probe = body("probe", PROBE_CALENDAR)
    async with gateway(broker) as ours:
        assert (await ours.http.post(NOTIFICATIONS, content=probe)).headers["attendara-probe"] == "recognized"
        await broker.line.cut()
        refused = await ours.http.post(NOTIFICATIONS, content=probe)
        await broker.line.listen()
        broker.hold()
        unanswered = await ours.http.post(NOTIFICATIONS, content=probe)
        broker.release()

        for answer in (refused, unanswered):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        await until(lambda: _recognized(ours, probe))


async def _recognized(ours: Serving, probe: bytes) -> bool:
    return (await ours.http.post(NOTIFICATIONS, content=probe)).status_code == 202


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (lanes, publishing):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(publishing, "LOOK_SECONDS", 0.2)


@asynccontextmanager
async def running_publisher(broker: Broker) -> AsyncIterator[Publisher]:
    publisher = Publisher("webhook-gateway", settings_of(broker.kafka), [NotificationReceived.topic])
    async with publisher.running():
        await until(lambda: _publishes(publisher))
        yield publisher


async def _publishes(publisher: Publisher) -> bool:
    try:
        await publisher.publish(NotificationReceived(calendar=new_id("cal"), subscription="s", received_at=datetime.now(UTC)))
    except Transient:
        return False
    return True


async def _ready(publisher: Publisher) -> bool:
    return await publisher.readiness() is None


@pytest.mark.usefixtures("impatient")
async def test_connections_that_went_silent_are_replaced_though_nobody_posts(broker: Broker) -> None:
    async with running_publisher(broker) as publisher:
        broker.line.delay = 3600  # whatever passes now never arrives, and what comes after it on these connections waits for it
        assert not await _ready(publisher)
        broker.line.delay = 0

        await until(lambda: _ready(publisher))
        await until(lambda: _publishes(publisher))


@pytest.mark.usefixtures("impatient")
async def test_a_sender_that_ended_without_a_word_is_replaced(broker: Broker) -> None:
    async with running_publisher(broker) as publisher:
        assert publisher._producer
        publisher._producer._sender.sender_task.cancel()
        assert not await _publishes(publisher)

        await until(lambda: _publishes(publisher))
