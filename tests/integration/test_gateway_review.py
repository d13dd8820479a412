"""The gateway gets over what aiokafka doesn't: connections that went silent, a sender that ended; and what only forgers post."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attendara_cli.settings import Settings as CliSettings
from attendara_cli.topics import create_topics
from common.errors import Transient
from common.ids import new_id
from common.messages import NotificationReceived
from tests.chaos.proxy import Proxy
from tests.chaos.system import broker_on_a_line
from tests.kafka_reading import settings_of
from tests.servers import Servers
from tests.serving import until
from webhook_gateway import publishing
from webhook_gateway.publishing import Publisher


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(publishing, "LOOK_SECONDS", 0.2)


@asynccontextmanager
async def on_a_line(folder: Path) -> AsyncIterator[tuple[Publisher, Proxy]]:
    async with broker_on_a_line(folder) as (_, line, environment):
        kafka = Servers(environment).kafka
        await create_topics(CliSettings(kafka_bootstrap_servers=kafka.bootstrap_servers), None)
        publisher = Publisher("webhook-gateway", settings_of(kafka), [NotificationReceived.topic])
        async with publisher.running():
            await until(lambda: _publishes(publisher))
            yield publisher, line


async def _publishes(publisher: Publisher) -> bool:
    try:
        await publisher.publish(NotificationReceived(calendar=new_id("cal"), subscription="s", received_at=datetime.now(UTC)))
    except Transient:
        return False
    return True


async def _ready(publisher: Publisher) -> bool:
    return await publisher.readiness() is None


@pytest.mark.usefixtures("impatient")
async def test_connections_that_went_silent_are_replaced_though_nobody_posts(tmp_path: Path) -> None:
    async with on_a_line(tmp_path) as (publisher, line):
        line.delay = 3600  # whatever passes now never arrives, and what comes after it on these connections waits for it
        assert not await _ready(publisher)
        line.delay = 0

        await until(lambda: _ready(publisher))
        assert await _publishes(publisher)


@pytest.mark.usefixtures("impatient")
async def test_a_sender_that_ended_without_a_word_is_replaced(tmp_path: Path) -> None:
    async with on_a_line(tmp_path) as (publisher, _):
        assert publisher._producer
        publisher._producer._sender.sender_task.cancel()
        assert not await _publishes(publisher)

        await until(lambda: _publishes(publisher))
