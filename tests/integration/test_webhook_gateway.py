"""The gateway with a real broker: what Graph posts is in Kafka when it has its answer."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from common.client_state import ClientStates
from common.ids import new_id
from common.messages import LifecycleReceived, NotificationReceived
from tests.gateway import make_gateway, ready
from tests.kafka_reading import reading
from tests.servers import Kafka
from tests.serving import serving, until

KEYS = [SecretStr(f"k:{base64.b64encode(b'o' * 32).decode()}")]
CLIENT_STATES = ClientStates(KEYS)


@pytest.fixture
async def gateway(topics: Kafka) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        serving(lambda _: make_gateway(topics, KEYS)) as address,
        httpx2.AsyncClient(base_url=address, trust_env=False, timeout=20) as client,
    ):
        await until(lambda: ready(client))
        yield client


def entry(calendar: str, **more: Any) -> dict[str, Any]:
    return {"subscriptionId": "s", "tenantId": "t", "clientState": CLIENT_STATES.sign(calendar)} | more


async def test_what_was_answered_with_202_is_in_kafka_under_its_calendar(gateway: httpx2.AsyncClient, kafka: Kafka) -> None:
    one, other = new_id("cal"), new_id("cal")
    posted = {"value": [entry(one), entry(other), entry(one), entry(one) | {"clientState": "forged"}]}

    answer = await gateway.post("/graph/notifications", json=posted)

    assert answer.status_code == 202
    async with reading(kafka, NotificationReceived) as topic:
        records = await topic.records(lambda message: message.calendar in (one, other), at_least=2)
    assert {message.calendar: message.count for message, _ in records} == {one: 2, other: 1}
    assert {record.key.decode() for _, record in records if record.key} == {one, other}
    assert {dict(record.headers)["ce_source"] for _, record in records} == {b"/attendara/webhook-gateway"}


async def test_lifecycle_entries_are_in_kafka_each_by_itself(gateway: httpx2.AsyncClient, kafka: Kafka) -> None:
    calendar = new_id("cal")
    kinds = ["missed", "reauthorizationRequired", "unheardOf"]

    answer = await gateway.post("/graph/lifecycle", json={"value": [entry(calendar, lifecycleEvent=kind) for kind in kinds]})

    assert answer.status_code == 202
    async with reading(kafka, LifecycleReceived) as topic:
        found = await topic.of(lambda message: message.calendar == calendar, at_least=3)
    assert [message.kind for message in found] == ["missed", "reauthorizationRequired", "unknown"]


async def test_without_the_broker_it_starts_shakes_hands_and_asks_graph_to_post_again(kafka: Kafka) -> None:
    async with (
        serving(lambda _: make_gateway(kafka, KEYS, kafka_bootstrap_servers="127.0.0.1:9")) as address,
        httpx2.AsyncClient(base_url=address, trust_env=False) as client,
    ):
        ready = await client.get("/readyz")
        shaken = await client.post("/graph/notifications?validationToken=hello")
        posted = await client.post("/graph/notifications", json={"value": [entry(new_id("cal"))]})

    assert (ready.status_code, ready.json()["kafka"]) == (503, "not connected")
    assert (shaken.status_code, shaken.text) == (200, "hello")
    assert (posted.status_code, "retry-after" in posted.headers) == (503, True)


async def test_while_a_large_post_of_junk_is_read_others_are_answered(gateway: httpx2.AsyncClient) -> None:
    junk = b'{"value":[' + b",".join([b"1"] * 2_000_000) + b"]}"
    posted = asyncio.create_task(gateway.post("/graph/notifications", content=junk))
    handshakes = 0
    while not posted.done():
        assert (await gateway.post("/graph/notifications?validationToken=t")).text == "t"
        handshakes += 1
    assert posted.result().status_code == 202
    assert handshakes > 3
