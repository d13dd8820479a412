"""Parts together: one that is killed is not missed until it is started again."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from attendara_local.crew import Crew
from attendara_local.part import Recipe, StackError
from tests.serving import until


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(tmp_path)
    log = tmp_path / "logs" / "worker.log"
    command = "sh -c 'echo begun; exec sleep 60'"
    crew.start([Recipe("worker", command, os.environ, lambda: None if log.stat().st_size else "silent")])
    yield crew
    crew.stop()


async def test_a_part_that_was_killed_starts_again_and_writes_on_in_its_log(crew: Crew) -> None:
    first = crew.parts["worker"]

    crew.kill("worker")
    crew.check()
    crew.restart("worker")

    again = crew.parts["worker"]
    assert first.returncode == -signal.SIGKILL
    assert again.pid != first.pid
    await until(lambda: again.log.read_text() == "begun\nbegun\n")


async def test_a_part_that_ends_by_itself_is_missed(crew: Crew) -> None:
    crew.parts["worker"].send(signal.SIGKILL)
    await until(lambda: crew.parts["worker"].returncode is not None)

    with pytest.raises(StackError, match="worker ended by SIGKILL"):
        crew.check()
