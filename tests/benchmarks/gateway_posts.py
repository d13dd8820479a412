"""Posts of Graph's as it makes them for Outlook, genuine and ready to be sent: all fields, ids as long as Exchange's.

Shape: https://learn.microsoft.com/graph/outlook-change-notifications-overview.
"""

import base64
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ulid import ULID

from common.client_state import ClientStates

PATH = "/graph/notifications"
CALENDARS = 2_000
ENTRIES = 4_000
"""In all posts of one size together, before they are sent again."""


@dataclass(frozen=True)
class Post:
    """`calendars`: how many different ones its entries are about."""

    request: bytes
    entries: int
    calendars: int


@dataclass(frozen=True)
class _Watched:
    calendar: str
    client_state: str
    subscription: str
    user: str
    tenant: str


def posts(client_states: ClientStates, sizes: Sequence[int], seed: int = 5) -> dict[int, list[Post]]:
    """By their number of entries; the same for the same seed, but for the signatures."""
    chance = random.Random(seed)
    watched = [_watch(chance, client_states) for _ in range(CALENDARS)]
    return {size: [_post(chance, chance.choices(watched, k=size)) for _ in range(ENTRIES // size)] for size in sizes}


def _watch(chance: random.Random, client_states: ClientStates) -> _Watched:
    calendar = f"cal_{ULID.from_bytes(chance.randbytes(16))}".lower()
    return _Watched(calendar, client_states.sign(calendar), *(str(UUID(bytes=chance.randbytes(16))) for _ in range(3)))


def _post(chance: random.Random, watched: Sequence[_Watched]) -> Post:
    value = [_entry(chance, one) for one in watched]
    body = json.dumps({"value": value}, separators=(",", ":")).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return Post(head.encode() + body, len(watched), len({one.calendar for one in watched}))


def _entry(chance: random.Random, watched: _Watched) -> dict[str, Any]:
    event = f"AAMkA{_letters(chance, 143)}AAA="
    resource = f"Users/{watched.user}/Events/{event}"
    return {
        "subscriptionId": watched.subscription,
        "subscriptionExpirationDateTime": f"2026-12-01T03:12:{chance.uniform(10, 59):.5f}68+00:00",
        "changeType": chance.choice(("created", "updated", "updated", "deleted")),
        "resource": resource,
        "resourceData": {
            "@odata.type": "#Microsoft.Graph.Event",
            "@odata.id": resource,
            "@odata.etag": f'W/"CQAAABYAAAC{_letters(chance, 29)}"',
            "id": event,
        },
        "clientState": watched.client_state,
        "tenantId": watched.tenant,
    }


def _letters(chance: random.Random, count: int) -> str:
    return base64.urlsafe_b64encode(chance.randbytes(count)).decode()[:count]
