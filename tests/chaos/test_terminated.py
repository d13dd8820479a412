"""SIGTERM in the middle of the story, as a rollout sends it: a service ends in time, with code 0, and nothing is lost."""

import asyncio
from pathlib import Path

from tests.chaos.busy import busy
from tests.chaos.system import SERVICES, running_system, terminated


async def test_every_service_may_be_terminated_in_the_middle_of_changes(tmp_path: Path) -> None:
    async with running_system(tmp_path) as system:
        async with busy(system, seed=2):
            for service in SERVICES:
                async with terminated(system.stack.services, service) as told:
                    assert "Traceback" not in told, told
                    await asyncio.sleep(1)
        await system.settled()
