"""A part of the stack: its log, its end, and that nothing outlives us."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from attendara_local.crew import Crew
from attendara_local.part import Part, Recipe, StackError, stop

LIMIT = 10.0


def until(holds: Callable[[], object]) -> None:
    limit = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < limit, "it did not come to be in time"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[str], Part]]:
    begun = []

    def _begin(script: str) -> Part:
        command = shlex.join(["sh", "-c", script])
        begun.append(Part(Recipe("worker", command, os.environ, lambda: None), tmp_path / "worker.log"))
        begun[-1].start()
        return begun[-1]

    yield _begin
    stop(begun, patience=0.1)


def test_what_a_part_prints_is_in_its_log(begin: Callable[[str], Part]) -> None:
    part = begin("echo one; echo two >&2")

    until(lambda: part.returncode is not None)

    assert part.log.read_text() == "one\ntwo\n"


def test_a_log_is_kept_without_colours(begin: Callable[[str], Part]) -> None:
    part = begin(r"printf '\033[31mred\033[0m\n'")

    until(lambda: part.returncode is not None)

    assert (part.log.read_text(), part.last_line) == ("red\n", "red")


def test_a_part_that_ends_by_itself_is_told_with_its_last_line(begin: Callable[[str], Part]) -> None:
    part = begin("echo starting; echo no such database; exit 3")

    until(lambda: part.returncode is not None)

    with pytest.raises(StackError, match=r"^worker ended with code 3: no such database \(log: .*worker\.log\)$"):
        part.check()


def test_a_part_that_is_told_to_end_may_tidy_up(begin: Callable[[str], Part]) -> None:
    part = begin("trap 'echo tidied; exit 0' TERM; echo up; while :; do sleep 0.01; done")
    until(lambda: part.last_line == "up")

    stop([part])

    assert (part.returncode, part.last_line) == (0, "tidied")


def test_a_part_that_was_paused_is_stopped_as_well(begin: Callable[[str], Part]) -> None:
    part = begin("echo up; exec sleep 60")
    until(lambda: part.last_line == "up")
    part.send(signal.SIGSTOP)

    stop([part])

    assert part.returncode == -signal.SIGTERM


def test_a_part_that_does_not_listen_is_killed(begin: Callable[[str], Part]) -> None:
    part = begin("trap '' TERM; echo up; while :; do sleep 0.01; done")
    until(lambda: part.last_line == "up")

    stop([part], patience=0.2)

    assert part.returncode == -signal.SIGKILL


def test_a_part_that_is_never_ready_is_told_with_what_it_wants(tmp_path: Path) -> None:
    crew = Crew(tmp_path, limit=0.2)
    try:
        with pytest.raises(StackError, match=r"worker is not ready after \d+ s \(its breakfast\); see .*worker.log"):
            crew.start([Recipe("worker", "sleep 60", os.environ, lambda: "its breakfast")])
    finally:
        crew.stop()


def test_progress_is_said_as_it_happens(tmp_path: Path) -> None:
    said: list[str] = []
    crew = Crew(tmp_path, said.append)
    try:
        crew.start([Recipe("worker", "sleep 60", os.environ, lambda: None)])
    finally:
        crew.stop()

    assert [line.split()[:2] for line in said] == [["worker", "waiting"], ["worker", "ready"]]


OWNER = """
import os, sys, time
from pathlib import Path
from attendara_local.crew import Crew
from attendara_local.part import Recipe
crew = Crew(Path(sys.argv[1]))
crew.start([Recipe("worker", "sleep 60", os.environ, lambda: None)])
print(crew.parts["worker"].pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_nothing_is_left_behind_when_we_are_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER, tmp_path], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        pid = int(owner.stdout.readline())
        assert is_running(pid)
        owner.kill()

    until(lambda: not is_running(pid))
