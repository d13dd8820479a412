"""What the gateway is to make of any body: a model that knows none of its code.

It reads with Python's `json`. Where that is more lenient than JSON, or JSON leaves a choice, the rules are:

- NaN and Infinity, a byte-order mark, and any encoding but UTF-8 that doesn't look like it: no JSON, the post is refused.
- An escape that is half a surrogate pair, anywhere: the post is refused, as is one that is nested far too deep.
- Bytes that aren't UTF-8 in a string that we read, and numbers there that Python can't hold (`1e999`, thousands of digits): that
  entry is malformed. In strings and numbers that we don't read they don't matter.
- A key given twice must be right both times; the last one counts.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

NOTIFICATIONS = "/graph/notifications"
LIFECYCLE = "/graph/lifecycle"
PROBE = f"cal_{'0' * 26}"
CHANGES = ("created", "updated", "deleted")
LIFECYCLES = ("reauthorizationRequired", "subscriptionRemoved", "missed")
MOST_DIGITS = 4_000
HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")

Message = tuple[str | int | None, ...]
"""What is in Kafka, as a tuple: calendar, subscription, tenant, then count and kinds, or the kind."""


@dataclass(frozen=True)
class Expected:
    status: int
    messages: Counter[Message] = field(default_factory=Counter)


class _Object(list[tuple[str, Any]]):
    """A JSON object with all its keys, also those that are given twice."""


class Model:
    """Of one of the two addresses. `genuine`: the calendar of each clientState that our keys ever signed."""

    def __init__(self, genuine: Mapping[str, str], path: str) -> None:
        self._genuine = genuine
        self._lifecycle = path == LIFECYCLE
        kind = "lifecycleEvent" if self._lifecycle else "changeType"
        self._right: Mapping[str, Callable[[Any], bool]] = {
            "subscriptionId": _short,
            "clientState": _text,
            "tenantId": lambda value: value is None or _short(value),
            kind: _legible,
        }
        self._wanted = {"subscriptionId", "clientState"} | ({kind} if self._lifecycle else set())

    def read(self, body: bytes) -> Expected:
        value = _value(body)
        if value is None:
            return Expected(400)
        entries = [found for entry in value if (found := self._entry(entry))]
        genuine = [(calendar, entry) for entry in entries if (calendar := self._genuine.get(entry["clientState"], PROBE)) != PROBE]
        return Expected(202, Counter(self._lifecycles(genuine) if self._lifecycle else self._notifications(genuine)))

    def _entry(self, entry: Any) -> dict[str, Any] | None:
        """Its fields that we read; None if it is malformed."""
        if not isinstance(entry, _Object):
            return None
        known = [(name, value) for name, value in entry if name in self._right]
        right = all(self._right[name](value) for name, value in known)
        return dict(known) if right and self._wanted <= {name for name, _ in known} else None

    def _lifecycles(self, genuine: list[tuple[str, dict[str, Any]]]) -> list[Message]:
        return [
            (calendar, entry["subscriptionId"], entry.get("tenantId"), _known(entry["lifecycleEvent"], LIFECYCLES))
            for calendar, entry in genuine
        ]

    def _notifications(self, genuine: list[tuple[str, dict[str, Any]]]) -> list[Message]:
        by_calendar: dict[str, list[dict[str, Any]]] = {}
        for calendar, entry in genuine:
            by_calendar.setdefault(calendar, []).append(entry)
        return [
            (
                calendar,
                entries[-1]["subscriptionId"],
                entries[-1].get("tenantId"),
                len(entries),
                *sorted({_known(entry.get("changeType"), CHANGES) for entry in entries}),
            )
            for calendar, entries in by_calendar.items()
        ]


def _value(body: bytes) -> list[Any] | None:
    """None if the body isn't JSON with a list `value`. U+FFFD stands for what isn't UTF-8."""
    try:
        text = body.decode("utf-8", "replace")
        post = json.loads(text, object_pairs_hook=_Object, parse_int=_integer, parse_constant=_refuse)
        if HALF_PAIR.search(body):
            json.dumps(post, ensure_ascii=False).encode()  # raises UnicodeEncodeError, a ValueError, where a pair is not whole
    except (ValueError, RecursionError):
        return None
    values = [value for name, value in post if name == "value"] if isinstance(post, _Object) else []
    return values[-1] if values and all(type(value) is list for value in values) else None


def _integer(text: str) -> float:
    return math.inf if len(text) > MOST_DIGITS else 0


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _text(value: Any) -> bool:
    return isinstance(value, str) and "\ufffd" not in value


def _short(value: Any) -> bool:
    return _text(value) and len(value) <= 200


def _legible(value: Any) -> bool:
    try:
        return "\ufffd" not in json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return False


def _known(value: Any, names: tuple[str, ...]) -> str:
    return value if isinstance(value, str) and value in names else "unknown"
