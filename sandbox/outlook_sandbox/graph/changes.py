"""A calendar's memory of what changed in which order, which is what delta rounds read."""

from bisect import bisect_right
from collections.abc import Iterator


class ChangeLog:
    """Each event's newest change, in the order of changes; older entries of the same event are skipped and cleared."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self._entries: list[tuple[int, str]] = []

    def note(self, event: str, key: int) -> None:
        self._newest[event] = key
        self._entries.append((key, event))
        if len(self._entries) > 2 * len(self._newest) + 1000:
            self._entries = [entry for entry in self._entries if self._newest.get(entry[1]) == entry[0]]

    def forget(self, event: str) -> None:
        del self._newest[event]

    def after(self, key: int) -> Iterator[tuple[int, str]]:
        """Changes later than `key`, oldest first, each event once."""
        for position in range(bisect_right(self._entries, (key, "\x7f")), len(self._entries)):
            changed_at, event = self._entries[position]
            if self._newest.get(event) == changed_at:
                yield changed_at, event

    def until(self, key: int) -> Iterator[tuple[int, str]]:
        """Changes not later than `key`, newest first, each event once."""
        for position in range(bisect_right(self._entries, (key, "\x7f")) - 1, -1, -1):
            changed_at, event = self._entries[position]
            if self._newest.get(event) == changed_at:
                yield changed_at, event
