"""The servers that the other tests stand on: a replica set that takes transactions, Redis, a broker that keeps offsets."""

from typing import Any

import redis.asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from tests.servers import Kafka


async def test_mongodb_is_a_replica_set_that_takes_transactions(
    mongodb: AsyncMongoClient[dict[str, Any]], database: AsyncDatabase[dict[str, Any]]
) -> None:
    async with mongodb.start_session() as session, await session.start_transaction():
        await database["things"].insert_one({"_id": 1}, session=session)

    assert await database["things"].count_documents({}) == 1


async def test_each_test_finds_redis_empty(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("left", "behind")


async def test_each_test_finds_redis_empty_again(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await client.get("left") is None


async def test_a_consumer_group_goes_on_where_it_committed(kafka: Kafka, unique: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(unique, num_partitions=1, replication_factor=1)])
    await admin.close()
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, acks="all", enable_idempotence=kafka.idempotence
    ) as producer:
        for number in range(3):
            await producer.send_and_wait(unique, str(number).encode(), key=b"same")

    async with _reader(kafka, unique) as first:
        assert (await first.getone()).value == b"0"
        await first.commit({TopicPartition(unique, 0): 1})
    async with _reader(kafka, unique) as second:
        assert (await second.getone()).value == b"1"


def _reader(kafka: Kafka, topic: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka.bootstrap_servers,
        group_id=topic,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=kafka.session_timeout_ms,
        heartbeat_interval_ms=kafka.heartbeat_interval_ms,
        fetch_max_wait_ms=kafka.fetch_max_wait_ms,
    )
