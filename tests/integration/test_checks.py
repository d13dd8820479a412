"""Checks of suspects on a real MongoDB, with Graph's answers as we please: each answer counts for itself."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from common.announce import Announcer
from common.errors import Refused, Throttled
from common.graph.shapes import BatchAnswer
from common.marks import Claim
from common.store import Database, Document
from sync_worker.appointments import make_appointments, message_of
from sync_worker.check import APART, Checks
from sync_worker.states import make_states
from tests.fakes.recorded_messaging import RecordedMessaging

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
GONE = BatchAnswer(id="0", status=404)


class Answers:
    """Graph and mailbox in one: says of each event what it was told to."""

    def __init__(self, answers: dict[str, BatchAnswer]) -> None:
        self.answers = answers

    def mailbox(self, *_: Any, **__: Any) -> "Answers":
        return self

    async def events(self, event_ids: Sequence[str]) -> list[BatchAnswer]:
        return [self.answers[event_id] for event_id in event_ids]


def failure(status: int, **headers: str) -> BatchAnswer:
    body = json.dumps({"error": {"code": "ApplicationThrottled", "message": "over its limit"}})
    return BatchAnswer(id="0", status=status, headers=headers, body=msgspec.Raw(body.encode()))


async def checked(database: Database, answers: dict[str, BatchAnswer], now: datetime) -> None:
    states = make_states(database)
    appointments = make_appointments(database, Announcer(database.appointments, RecordedMessaging(), message_of), False)
    graph: Any = Answers(answers)
    state = await database.sync_states.find_one({"_id": "cal"})
    assert state
    await Checks(database, graph, states, appointments).run(Claim(state, now, "lease", 0, []), now)


@pytest.fixture
async def suspects(database: Database) -> list[str]:
    await database.sync_states.insert_one(
        {"_id": "cal", "organization": "org", "connection": "con", "graph_id": "g", "state": "current"}
    )
    connection = {"tid": "t", "oid": "o", "username": "u", "name": "n", "state": "active", "since": NOW, "created_at": NOW}
    await database.connections.insert_one(connection | {"_id": "con", "organization": "org"})
    ids = ["first", "second", "third"]
    await database.appointments.insert_many([_suspect(event_id) for event_id in ids])
    return ids


def _suspect(event_id: str) -> Document:
    return {
        "_id": f"apt_{event_id}",
        "organization": "org",
        "connection": "con",
        "calendar": "cal",
        "event_id": event_id,
        "round": 0,
        "series": None,
        "content": {"start": NOW, "end": NOW, "start_date": None, "end_date": None},
        "status": {"value": "pending", "occurred_at": None},
        "label": {"value": "none"},
        "removed": None,
        "sequence": 1,
        "suspect": {"misses": 1, "missed_at": NOW - APART},
    }


async def removed(database: Database) -> set[str]:
    return set(await database.appointments.distinct("event_id", {"removed.reason": "deleted"}))


@pytest.mark.parametrize("name", ["Retry-After", "retry-after"])
async def test_a_throttled_answer_in_a_batch_holds_up_only_itself(database: Database, suspects: list[str], name: str) -> None:
    answers = dict.fromkeys(suspects, GONE) | {"first": failure(429, **{name: "37"}), "second": failure(429, **{name: "5"})}
    with pytest.raises(Throttled) as raised:
        await checked(database, answers, NOW)
    assert raised.value.retry_after == 37
    assert await removed(database) == {"third"}


async def test_an_event_that_graph_refuses_to_show_does_not_hide_the_others(database: Database, suspects: list[str]) -> None:
    with pytest.raises(Refused):
        await checked(database, dict.fromkeys(suspects, GONE) | {"first": failure(403)}, NOW)
    assert await removed(database) == {"second", "third"}


async def test_the_second_miss_counts_only_some_seconds_after_the_first(database: Database, suspects: list[str]) -> None:
    await database.appointments.update_many({}, {"$set": {"suspect": {"misses": 0}}})
    answers = dict.fromkeys(suspects, GONE)
    await checked(database, answers, NOW)
    await checked(database, answers, NOW + APART / 2)
    assert await removed(database) == set()
    await checked(database, answers, NOW + APART + timedelta(milliseconds=1))
    assert await removed(database) == set(suspects)
