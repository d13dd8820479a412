"""Apache Kafka, which keeps what it has as the local broker doesn't, stopped and started; and what services leave behind in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from attendara_local.crew import Crew
from attendara_local.part import Recipe
from attendara_local.ports import Ports
from tests.chaos.busy import busy
from tests.chaos.gateways import lose_nothing_without_a_broker, running_gateways
from tests.chaos.system import GRACE, SERVICES, System, broker_on_a_line, running_system, terminated
from tests.kafka.node import recipe

pytestmark = pytest.mark.kafka


def kafka(ports: Ports, folder: Path, advertised: int) -> Recipe:
    return recipe(folder, ports, more=f"advertised.listeners=PLAINTEXT://localhost:{advertised}")


@pytest.fixture(scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    async with running_system(tmp_path_factory.mktemp("system"), kafka) as running:
        yield running


@asynccontextmanager
async def stopped(crew: Crew, name: str) -> AsyncIterator[None]:
    await asyncio.to_thread(crew.terminate, name, GRACE)
    try:
        yield
    finally:
        await asyncio.to_thread(crew.restart, name)


async def test_a_broker_that_is_stopped_and_started_loses_no_notification(tmp_path: Path) -> None:
    async with broker_on_a_line(tmp_path, kafka) as (crew, _, settings), running_gateways(tmp_path, settings) as gateways:
        await lose_nothing_without_a_broker(gateways, stopped(crew, "kafka"))


async def test_services_that_are_terminated_leave_their_groups_and_lose_nothing(system: System) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=system.stack.environment("cli")["KAFKA_BOOTSTRAP_SERVERS"])
    await admin.start()
    try:
        assert await readers(admin) >= {"renewer", "settings-web", "sync-worker"}
        async with busy(system, seed=3):
            for service in SERVICES:
                async with terminated(system.stack.services, service):
                    assert service not in await readers(admin)
    finally:
        await admin.close()

    await system.settled()


async def readers(admin: AIOKafkaAdminClient) -> set[str]:
    """The services that have a member in any consumer group."""
    found = set()
    for group, _ in await admin.list_consumer_groups():
        # One by one: aiokafka can't decode an answer about several (it reads a v3 as a v2).
        [response] = await admin.describe_consumer_groups([group])
        [(_, _, _, _, _, members)] = response.groups
        if members:
            found.add(group.partition(".")[0])
    return found


async def test_a_broker_that_is_stopped_and_started_delays_changes_and_answers_and_loses_none(system: System) -> None:
    async with busy(system, seed=4):
        async with stopped(system.brokers, "kafka"):
            await system.not_ready("webhook-gateway", "kafka")
            await system.not_ready("sync-worker", "kafka")
        await system.ready()

    await system.settled()
