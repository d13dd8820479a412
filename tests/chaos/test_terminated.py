"""SIGTERM in the middle of the story, as a rollout sends it: a service ends in time, with code 0, and nothing is lost."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.chaos.busy import busy
from tests.chaos.system import SERVICES, System, paused, running_system, terminated


@pytest.fixture(scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    async with running_system(tmp_path_factory.mktemp("terminated")) as running:
        yield running


async def test_every_service_may_be_terminated_in_the_middle_of_changes(system: System) -> None:
    async with busy(system, seed=2):
        for service in SERVICES:
            async with terminated(system.stack.services, service) as told:
                assert "Traceback" not in told, told

    await system.settled()


async def test_a_service_waits_for_no_broker_that_hangs_when_it_is_terminated(system: System) -> None:
    async with busy(system, seed=5), AsyncExitStack() as restarted, paused(system.broker):
        await system.not_ready("sync-worker", "kafka")
        told = await restarted.enter_async_context(terminated(system.stack.services, "sync-worker"))
        assert "Traceback" not in told, told

    await system.settled()
