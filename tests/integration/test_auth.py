"""auth with a real MongoDB, Redis and broker, against the sandbox's Microsoft: the whole, and what holds all the way."""

import asyncio
import logging

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError
from pymongo.asynchronous.database import AsyncDatabase

from auth.settings import Settings
from common.messages import ConnectionChanged
from common.messaging import make_messaging
from common.store import AWAY
from tests.consent import give_consent
from tests.integration.auth_world import (
    ANNA,
    LIMIT,
    Auth,
    Document,
    fingerprint,
    refusal,
    running,
)
from tests.servers import Kafka


async def test_the_whole_walk_from_connect_to_removal_is_announced_on_kafka(
    settings: Settings, database: AsyncDatabase[Document], redis_url: str, organization: str, kafka: Kafka
) -> None:
    await make_topic(kafka)
    broker = settings.model_copy(
        update={"kafka_bootstrap_servers": kafka.bootstrap_servers, "kafka_idempotence": kafka.idempotence}
    )
    messaging = make_messaging("auth", broker, AWAY)
    async with running(settings, database, redis_url, organization, messaging) as auth:
        await auth.ready()
        outcome = await auth.connect()
        connection = outcome["connection"]
        token = await auth.access_token(connection)

        auth.wire.answers += [refusal("invalid_grant", 50173), refusal("invalid_grant", 50173)]
        dead = await auth.token(connection, refused=fingerprint(token))
        again = await auth.connect(connection=connection)
        new_token = await auth.access_token(connection)
        removed = await auth.remove(connection)
        await auth.until(connection, "removed")
        gone = await auth.token(connection)

    assert outcome == {
        "outcome": "accepted",
        "connection": connection,
        "existing": False,
        "message": "Your Microsoft account is connected.",
        "next_step": "",
        "admin_consent_url": None,
        "return_to": "/calendars/new",
    }
    assert (dead.status_code, dead.json()["title"]) == (409, "needs-reconnect")
    assert (again["outcome"], again["connection"], again["existing"]) == ("accepted", connection, True)
    assert new_token != token
    assert (removed.status_code, gone.status_code) == (202, 404)
    told = ["connected", "needs-reconnect", "reconnected", "removing", "removed"]
    assert await changes_on_kafka(kafka, connection, until="removed") == [(organization, change) for change in told]


async def make_topic(kafka: Kafka) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(ConnectionChanged.topic.name, num_partitions=3, replication_factor=1)])
    except TopicAlreadyExistsError:
        pass
    finally:
        await admin.close()


async def changes_on_kafka(kafka: Kafka, connection: str, until: str) -> list[tuple[str, str]]:
    """What was said of the connection, repeats left out: announcing is at least once."""
    told: list[tuple[str, str]] = []
    consumer = AIOKafkaConsumer(
        ConnectionChanged.topic.name, bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest", group_id=None
    )
    async with consumer, asyncio.timeout(LIMIT):
        async for record in consumer:
            if record.key != connection.encode():
                continue
            message = msgspec.json.decode(record.value, type=ConnectionChanged)
            if (message.organization, message.change) not in told:
                told.append((message.organization, message.change))
            if message.change == until:
                break
    return told


async def test_another_organization_finds_nothing(auth: Auth) -> None:
    connection = await auth.connected()
    stranger = {"organization": "org_stranger"}

    answers = [
        await auth.http.post("/internal/v1/connects", json=auth.asker | stranger | {"connection": connection}),
        await auth.http.patch(f"/internal/v1/connections/{connection}", json=stranger | {"name": "Mine"}),
        await auth.remove(connection, "org_stranger"),
        await auth.token("con_unknown"),
    ]

    assert [(answer.status_code, answer.json()["title"]) for answer in answers] == [(404, "not-found")] * 4
    assert (await auth.http.get("/internal/v1/connections", params=stranger)).json() == []


async def test_what_readers_lost_is_announced_again(auth: Auth) -> None:
    await auth.connected()

    answer = await auth.http.post("/internal/v1/announce", params={"organization": auth.organization})

    assert answer.json() == {"announced": 1}
    await auth.told("connected", "connected")


async def test_a_broker_that_is_away_delays_the_announcement_only(auth: Auth) -> None:
    auth.messaging.down = True
    outcome = await auth.connect()
    assert outcome["outcome"] == "accepted"
    auth.messaging.down = False

    await auth.told("connected")


async def test_no_token_is_readable_where_it_is_stored_or_logged(auth: Auth, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    query = await give_consent((await auth.begin())["authorize_url"], ANNA)
    outcome = await auth.finish(query)
    token = await auth.access_token(outcome["connection"])
    auth.wire.answers += [refusal("invalid_grant", 50173), refusal("invalid_grant", 50173)]
    await auth.token(outcome["connection"], refused=fingerprint(token))

    stored = repr(await auth.stored(outcome["connection"]))
    kept = [await auth.redis.dump(key) async for key in auth.redis.scan_iter()]
    for secret in (token, query["code"], "refresh_token", "RefreshToken"):
        assert secret not in stored + repr(kept)
    ours = "".join(record.getMessage() for record in caplog.records if not record.name.startswith(("pymongo", "httpcore")))
    assert token not in ours
    assert query["code"] not in ours
