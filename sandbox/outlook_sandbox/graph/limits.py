"""What Microsoft allows an app: requests at once and in ten minutes per mailbox, and requests to its subscription service.

All requests count, refused ones too: who tries again at once makes it worse.
"""

from collections import Counter
from math import ceil

from outlook_sandbox.graph.errors import throttled, too_many_requests

MOST_AT_ONCE = 4
TEN_MINUTES = 600
SUBSCRIPTION_SECONDS = 20
STEPS = 60

# How many per 20 seconds: of one app everywhere, and of one app in one tenant.
SUBSCRIPTION_LIMITS = {"write": (2000, 500), "reauthorize": (4000, 1000), "get": (2000, 500), "list": (40, 25)}


class Window:
    """Requests of the last `seconds`, which slide on in sixtieths: counting one costs the same however many there are."""

    __slots__ = ("_counts", "_most", "_newest", "_step", "_total")

    def __init__(self, seconds: int, most: int) -> None:
        self._most = most
        self._step = seconds / STEPS
        self._counts = [0] * STEPS
        self._newest = 0
        self._total = 0

    def count(self, now: float) -> int:
        """One request more, at this time in seconds: 0 if it is allowed, else in how many seconds one would be."""
        step = int(now / self._step)
        if step != self._newest:
            self._slide(step)
        self._counts[step % STEPS] += 1
        self._total += 1
        return 0 if self._total <= self._most else self._seconds_until_room(now)

    def _slide(self, step: int) -> None:
        if not 0 < step - self._newest < STEPS:
            self._counts, self._total = [0] * STEPS, 0
        else:
            for left in range(self._newest + 1, step + 1):
                self._total -= self._counts[left % STEPS]
                self._counts[left % STEPS] = 0
        self._newest = step

    def _seconds_until_room(self, now: float) -> int:
        left, step = self._total, self._newest
        while left >= self._most and step < self._newest + STEPS:
            step += 1
            left -= self._counts[step % STEPS]
        return max(1, ceil(step * self._step - now))


class Limits:
    """Counts by the sandbox's clock; `now` is in seconds. A restart forgives everything."""

    def __init__(self, requests_per_10_minutes: int) -> None:
        self._requests_per_10_minutes = requests_per_10_minutes
        self._running: Counter[tuple[str, str]] = Counter()
        self._requests: dict[tuple[str, str], Window] = {}
        self._subscription_requests: dict[tuple[str, ...], Window] = {}

    def enter(self, app: str, mailbox: str, now: float) -> None:
        """Take one of the mailbox's places, which `leave` gives back. Raises GraphError 429."""
        key = (app, mailbox)
        window = self._requests.get(key)
        if window is None:
            window = self._requests[key] = Window(TEN_MINUTES, self._requests_per_10_minutes)
        if wait := window.count(now):
            raise throttled("RequestsPer10Minutes", str(wait))
        if self._running[key] >= MOST_AT_ONCE:
            raise throttled()
        self._running[key] += 1

    def leave(self, app: str, mailbox: str) -> None:
        key = (app, mailbox)
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]

    def count_subscription_request(self, method: str, path: list[str], app: str, tenant: str, now: float) -> None:
        """`path` is what stands in it, from `subscriptions` on. Raises GraphError 429."""
        kind = "write"
        if path[-1] == "reauthorize":
            kind = "reauthorize"
        elif method == "GET":
            kind = "get" if len(path) > 1 else "list"
        waits = []
        for key, most in zip(((kind, app), (kind, app, tenant)), SUBSCRIPTION_LIMITS[kind], strict=True):
            window = self._subscription_requests.setdefault(key, Window(SUBSCRIPTION_SECONDS, most))
            waits.append(window.count(now))
        if wait := max(waits):
            raise too_many_requests(wait)

    def clear(self) -> None:
        """Forget what was counted; requests under way keep their places."""
        self._requests.clear()
        self._subscription_requests.clear()
