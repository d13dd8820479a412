"""The gateway under steady posts while its broker or one of its processes goes away: Graph posts again, and nothing is lost."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import pytest

from attendara_local.crew import Crew
from tests.chaos.gateways import GATEWAYS, Gateways, lose_nothing_without_a_broker, practice, running_gateways
from tests.chaos.proxy import Proxy
from tests.chaos.system import broker_on_a_line, cut, killed, paused, slow, terminated

Ending = Callable[[Crew, str], AbstractAsyncContextManager[object]]


@dataclass
class World:
    brokers: Crew
    line: Proxy
    gateways: Gateways


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("gateways")
    async with broker_on_a_line(folder) as (brokers, line, kafka), running_gateways(folder, kafka) as gateways:
        yield World(brokers, line, gateways)


async def test_a_broker_whose_connections_are_cut_loses_no_notification(world: World) -> None:
    await lose_nothing_without_a_broker(world.gateways, cut(world.line))


async def test_a_broker_that_hangs_loses_no_notification(world: World) -> None:
    await lose_nothing_without_a_broker(world.gateways, paused(world.brokers.parts["broker"]))


@pytest.mark.parametrize("ended", [terminated, killed])
async def test_one_of_two_processes_that_ends_under_load_loses_no_notification(world: World, ended: Ending) -> None:
    async with practice(world.gateways, 300) as people, slow(world.line):
        changing = asyncio.create_task(people.change(300, pace=0.02))
        for name in itertools.cycle(GATEWAYS):
            async with ended(world.gateways.crew, name):
                pass  # the other one is alone until this one is ready again
            if changing.done():
                break
        await changing
        await world.gateways.published(people.changed)
