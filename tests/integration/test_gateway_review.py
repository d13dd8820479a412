"""The gateway gets over what aiokafka doesn't: connections that went silent, a sender that ended; and heads without an end."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
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
from tests.integration.gateway_process import gateway_process
from tests.kafka_reading import settings_of
from tests.servers import Kafka, Servers
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


@pytest.mark.parametrize(
    "head", [b"POST /?", b"POST / HTTP/1.1\r\nx: ", b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: "]
)
async def test_a_head_that_does_not_end_is_cut_off_and_what_is_not_http_is_not_logged(
    head: bytes, topics: Kafka, tmp_path: Path
) -> None:
    async with gateway_process(tmp_path, topics) as gateway:
        await _cut_off(gateway.port, b"nonsense\r\n\r\n")
        await _cut_off(gateway.port, head + b"x" * 128 * 1024)
        gateway.send(signal.SIGTERM)
        await gateway.ended()

    assert "HTTP" not in str(gateway.logged())


async def _cut_off(port: int, sent: bytes) -> None:
    """Fails unless the other side ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(20):
            with suppress(ConnectionError):
                writer.write(sent)
                await reader.read()
    finally:
        writer.transport.abort()
