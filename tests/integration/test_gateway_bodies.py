"""Whatever is posted to the gateway: what is genuine is in Kafka as often as it should be, and nothing else is.

The bodies come from a seed, not from hypothesis: a hundred thousand of them take less than a minute so, sent over many connections
at once to the gateway's own process, and what it made of them is read back from the broker. A run that fails names its seed:
`GATEWAY_BODIES_SEED=<seed>` makes the same bodies again. CI has always the same, so that a change is what it judges.
"""

import asyncio
import json
import os
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from attendara_cli.settings import Settings
from attendara_cli.topics import create_topics
from common.ids import new_id
from common.messages import LifecycleReceived, NotificationReceived
from tests.chaos.system import broker_on_a_line
from tests.integration.gateway_bodies import Post, World, signed
from tests.integration.gateway_model import LIFECYCLE, NOTIFICATIONS, Message
from tests.integration.gateway_process import KEYS, Gateway, gateway_process
from tests.servers import Kafka, Servers

BODIES = 100_000
CONNECTIONS = 48
MARKED = new_id("cal")
MARKS: dict[str, Any] = {
    kind.topic.name: {"calendar": MARKED, "subscription": "mark", "kind": "unknown", "received_at": datetime.now(UTC)}
    for kind in (NotificationReceived, LifecycleReceived)
}
Record = tuple[str, bytes | None, bytes]
"""Topic, key and value."""
EXAMPLES = Path(__file__).parents[1] / "data/graph/examples"


@pytest.fixture(scope="module")
async def gateway(topics: Kafka, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with gateway_process(tmp_path_factory.mktemp("gateway"), topics) as running:
        yield running


@pytest.mark.parametrize(
    ("example", "path", "expected"),
    [
        ("notification-basic-message", NOTIFICATIONS, {"kinds": ["created"]}),
        ("notification-outlook-basic-message", NOTIFICATIONS, {"kinds": ["created"]}),
        ("notification-rich-encryptedContent", NOTIFICATIONS, {"kinds": ["created"], "tenant": None}),
        ("lifecycle-missed", LIFECYCLE, {"kind": "missed"}),
        ("lifecycle-reauthorizationRequired", LIFECYCLE, {"kind": "reauthorizationRequired"}),
        ("lifecycle-subscriptionRemoved", LIFECYCLE, {"kind": "subscriptionRemoved"}),
    ],
)
async def test_what_graph_documents_is_published_once_it_carries_our_client_state(
    gateway: Gateway, topics: Kafka, example: str, path: str, expected: dict[str, Any]
) -> None:
    calendar, post = new_id("cal"), json.loads((EXAMPLES / f"{example}.json").read_bytes())
    entry = post["value"][0]

    async with _published(topics) as published, httpx2.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        as_documented = await client.post(path, json=post)
        entry["clientState"] = signed(calendar, *next(iter(KEYS.items())))
        ours = await client.post(path, json=post | {"value": [entry, entry]})
        messages = [json.loads(value) for _, _, value in await published()]

    assert (as_documented.status_code, ours.status_code) == (202, 202)
    told = {"calendar": calendar, "subscription": entry["subscriptionId"], "tenant": entry.get("tenantId")} | expected
    for message in messages:
        assert message.pop("received_at")
    assert messages == ([told | {"count": 2}] if path == NOTIFICATIONS else [told, told])


async def test_of_a_hundred_thousand_bodies_what_is_genuine_is_published_and_nothing_else(tmp_path: Path) -> None:
    """With a broker of its own: whoever reads these topics from their beginning would have all this to read."""
    seed = int(os.environ.get("GATEWAY_BODIES_SEED") or (5 if os.environ.get("CI") else secrets.randbits(32)))
    world, sent = World(seed), Counter[tuple[str, Message]]()

    async with (
        broker_on_a_line(tmp_path / "broker") as (_, __, environment),
        _with_topics(Servers(environment).kafka) as kafka,
        gateway_process(tmp_path / "gateway", kafka) as gateway,
        _published(kafka) as published,
    ):
        posts = ((number, world.post(number)) for number in range(BODIES))
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(_post_all(gateway.port, world, posts, sent))
        found = Counter([_told(*record) for record in await published()])

    assert found == sent, f"seed {seed}: not published: {_some(sent - found)}; published for no reason: {_some(found - sent)}"
    logged = gateway.logged()
    said = json.dumps(logged)
    assert [entry for entry in logged if entry["level"] not in ("info", "warning")] == []
    assert [entry["posts_in_flight"] for entry in logged if entry["event"] == "draining"] == [0]
    assert not any(client_state in said for client_state in world.genuine)


@asynccontextmanager
async def _with_topics(kafka: Kafka) -> AsyncIterator[Kafka]:
    await create_topics(Settings(kafka_bootstrap_servers=kafka.bootstrap_servers), None)
    yield kafka


async def _post_all(port: int, world: World, posts: Iterator[tuple[int, Post]], sent: Counter[tuple[str, Message]]) -> None:
    """One after the other on one connection; `posts` may be shared with others. Adds to `sent` what is to be in Kafka then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for number, post in posts:
            expected = world.expected(post)
            sent.update({(post.path, message): count for message, count in expected.messages.items()})
            writer.write(post.request)
            head = await _head(reader)
            wanted = b"HTTP/1.1 %d " % expected.status
            assert head.startswith(wanted), f"seed {world.seed}, post {number}: {head!r}, not {wanted!r} to {post.body[:500]!r}"
            assert b"\r\ncontent-length: 0\r\n" in head
    finally:
        writer.transport.abort()


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Of an answer; or what happened instead."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (OSError, asyncio.IncompleteReadError) as error:
        return repr(error).encode()


@asynccontextmanager
async def _published(kafka: Kafka) -> AsyncIterator[Callable[[], Awaitable[list[Record]]]]:
    """Reads what has come into both topics since, in the order of each partition, between marks of our own."""
    async with (
        AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, acks="all") as producer,
        AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, fetch_max_wait_ms=kafka.fetch_max_wait_ms) as consumer,
    ):
        before = await _marked(producer)

        async def read() -> list[Record]:
            after, found = await _marked(producer), list[Record]()
            consumer.assign(list(before))
            for partition, offset in before.items():
                consumer.seek(partition, offset + 1)
            reading = set(before)
            async with asyncio.timeout(60):
                while reading:
                    for partition, records in (await consumer.getmany(*reading, timeout_ms=1_000)).items():
                        found += [(one.topic, one.key, one.value) for one in records if one.offset < after[partition]]
                        if records[-1].offset >= after[partition]:
                            reading.discard(partition)
            return found

        yield read


async def _marked(producer: AIOKafkaProducer) -> dict[TopicPartition, int]:
    """Where the next message is in each partition: an own one stands there. The end that Tansu tells lags behind."""
    marks = {}
    for topic, mark in MARKS.items():
        for number in await producer.partitions_for(topic):
            stored = await producer.send_and_wait(topic, msgspec.json.encode(mark), partition=number)
            marks[TopicPartition(topic, number)] = stored.offset
    return marks


def _some(messages: Counter[tuple[str, Message]]) -> str:
    return f"{messages.total()}, as {list(messages)[:3]}"


def _told(topic: str, key: bytes | None, value: bytes) -> tuple[str, Message]:
    """The address it was posted to, and the message as the model has it."""
    message = json.loads(value)
    assert key == message["calendar"].encode()
    common = (message["calendar"], message["subscription"], message["tenant"])
    if topic == LifecycleReceived.topic.name:
        return LIFECYCLE, (*common, message["kind"])
    return NOTIFICATIONS, (*common, message["count"], *message["kinds"])
