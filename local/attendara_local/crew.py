"""Parts that are started, awaited, watched and stopped together."""

import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from honcho.colour import get_colours
from honcho.printer import Printer

from attendara_local.part import Part, Recipe, StackError, stop

START_LIMIT = 90.0
"""Seconds that a part may take until it is ready: many, for a slow machine that does other things too."""


def silent(line: str) -> None:
    """Say nothing."""


class Crew:
    """Runs recipes; each part's output goes to `<folder>/logs/<name>.log`, and to `printer` if there is one."""

    def __init__(
        self,
        folder: Path,
        say: Callable[[str], None] = silent,
        printer: Printer | None = None,
        limit: float = START_LIMIT,
    ) -> None:
        self.parts: dict[str, Part] = {}
        self._logs, self._say, self._printer, self._limit = folder / "logs", say, printer, limit
        self._colours = get_colours()
        self._ended: dict[str, Recipe] = {}

    def start(self, recipes: Sequence[Recipe]) -> None:
        """Start these parts, each with an empty log, and wait until each is ready."""
        for recipe in recipes:
            self._log(recipe).unlink(missing_ok=True)
        self._start(recipes)

    def restart(self, name: str) -> None:
        """Start a part again that was killed or terminated; it writes on in its log."""
        self._start([self._ended.pop(name)])

    def _start(self, recipes: Sequence[Recipe]) -> None:
        for recipe in recipes:
            part = Part(recipe, self._log(recipe), self._printer, next(self._colours))
            self.parts[recipe.name] = part
            part.start()
            self._say(f"  {recipe.name:<16} waiting")
        self._wait([self.parts[recipe.name] for recipe in recipes])

    def _wait(self, waiting: list[Part]) -> None:
        began = time.monotonic()
        while waiting:
            for part in list(waiting):
                self.check()
                wants, passed = part.recipe.wants(), time.monotonic() - began
                if wants is None:
                    waiting.remove(part)
                    self._say(f"  {part.name:<16} ready in {passed:.1f} s")
                elif passed > self._limit:
                    raise StackError(f"{part.name} is not ready after {passed:.0f} s ({wants}); see {part.log}")
            time.sleep(0.1)

    def kill(self, name: str) -> None:
        """End a part as a crash would; it is not missed until its `restart`."""
        self._end(name, signal.SIGKILL)

    def terminate(self, name: str, patience: float) -> int | None:
        """Ask a part to end; its code, or None if it needs more than these seconds. It is not missed until its `restart`."""
        return self._end(name, signal.SIGTERM, patience).returncode

    def _end(self, name: str, number: signal.Signals, patience: float | None = None) -> Part:
        part = self.parts.pop(name)
        self._ended[name] = part.recipe
        part.send(number)
        if not part.join(time.monotonic() + (patience or self._limit)):
            part.send(signal.SIGKILL)
        return part

    def check(self) -> None:
        """Raise if a part has ended by itself."""
        for part in self.parts.values():
            part.check()

    def stop(self) -> None:
        """End every part."""
        stop(self.parts.values())

    def _log(self, recipe: Recipe) -> Path:
        return self._logs / f"{recipe.name}.log"
