"""A page of Graph's is read item by item: one that isn't as documented doesn't cost the others."""

import json
from typing import Any

import msgspec
import pytest

from common.graph.shapes import RawPage

TIME = {"dateTime": "2026-11-24T09:00:00.0000000", "timeZone": "UTC"}


def page(*items: dict[str, Any]) -> bytes:
    return json.dumps({"value": items, "@odata.deltaLink": "https://graph.example/delta"}).encode()


@pytest.mark.parametrize(
    "odd",
    [
        {"id": 7},
        {"id": "a", "isAllDay": None, "start": TIME, "end": TIME},
        {"id": "a", "start": TIME},
        {"id": "a", "start": TIME | {"dateTime": "soon"}, "end": TIME},
        {"id": "a", "categories": "Red category", "start": TIME, "end": TIME},
        {},
    ],
)
def test_an_odd_item_is_left_out_and_the_others_are_read(odd: dict[str, Any]) -> None:
    sound = {"id": "b", "subject": "Massage", "start": TIME, "end": TIME}
    read = msgspec.json.decode(page(odd, sound), type=RawPage).read()
    assert [event.id for event in read.value] == ["b"]
    assert read.delta_link == "https://graph.example/delta"


def test_a_tombstone_needs_no_times() -> None:
    [tombstone] = msgspec.json.decode(page({"id": "a", "@removed": {"reason": "deleted"}}), type=RawPage).read().value
    assert tombstone.removed
