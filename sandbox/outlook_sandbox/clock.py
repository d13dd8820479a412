"""The sandbox's own time: the real one plus an offset that tests may move forward."""

from datetime import UTC, datetime, timedelta


class Clock:
    """Says what time it is; `advance` moves every part of the sandbox together."""

    def __init__(self) -> None:
        self._offset = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def advance(self, by: timedelta) -> None:
        self._offset += by
