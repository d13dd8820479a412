"""The clocks of rounds on a real MongoDB: each calendar's round is due once a period, whatever the time does meanwhile."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.announce import Announcer
from common.messaging import Messaging
from common.store import Calendar, Database
from sync_worker.appointments import make_appointments, message_of
from sync_worker.handlers import Handlers
from sync_worker.schedule import NIGHTLY, Schedule
from sync_worker.states import States, make_states
from tests.fakes.recorded_messaging import RecordedMessaging

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SAFETY = timedelta(minutes=15)
MINUTE = timedelta(minutes=1)


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
async def states(database: Database) -> States:
    states = make_states(database)
    await states.create_indexes()
    return states


@pytest.fixture
def schedule(database: Database, states: States, clock: Hands) -> Schedule:
    handlers: Any = _no_handlers(database, states, clock)
    return Schedule(database, states, handlers, SAFETY, clock)


def _no_handlers(database: Database, states: States, clock: Hands) -> Handlers:
    nobody: Any = None
    return Handlers(database, states, nobody, nobody, {}, clock)


def calendar(number: int) -> Calendar:
    return Calendar(
        id=f"cal_{number}", organization="org", connection="con", graph_id="g", name="n", state="active", created_at=NOW
    )


async def opened(states: States, count: int = 1) -> None:
    """Calendars whose first round is over."""
    for number in range(count):
        await states.open(calendar(number), NOW, {})
    await states.collection.update_many({}, {"$set": {"state": "current"}, "$unset": {"full": ""}})


async def marked(states: States, mark: str) -> int:
    """How many calendars have the mark; it is then taken off, as by a round."""
    count = await states.collection.count_documents({mark: {"$exists": True}})
    await states.collection.update_many({}, {"$unset": {mark: ""}})
    return count


async def test_the_safety_round_is_due_once_a_period(schedule: Schedule, states: States, clock: Hands) -> None:
    await opened(states)
    rounds = 0
    for _ in range(240):
        clock.now += MINUTE
        await schedule.turn()
        rounds += await marked(states, "delta")
    assert 4 * 60 / (15 * 1.2) - 1 <= rounds <= 4 * 60 / (15 * 0.8) + 1


async def test_the_nightly_round_is_due_once_a_day(schedule: Schedule, states: States, clock: Hands) -> None:
    await opened(states)
    rounds = 0
    for _ in range(10 * 24):
        clock.now += timedelta(hours=1)
        await schedule.turn()
        rounds += await marked(states, "full")
    assert 8 <= rounds <= 12


async def test_a_clock_that_jumps_ahead_costs_one_round_not_all_that_were_missed(
    schedule: Schedule, states: States, clock: Hands
) -> None:
    await opened(states)
    clock.now += timedelta(days=3)
    await schedule.turn()
    assert (await marked(states, "delta"), await marked(states, "full")) == (1, 1)
    clock.now += MINUTE
    await schedule.turn()
    assert (await marked(states, "delta"), await marked(states, "full")) == (0, 0)


async def test_calendars_do_not_stay_in_step(schedule: Schedule, states: States, clock: Hands) -> None:
    await opened(states, 50)
    clock.now += NIGHTLY
    await schedule.turn()
    for field, period in (("safety_at", SAFETY), ("nightly_at", NIGHTLY)):
        nexts = [state[field] - clock.now async for state in states.collection.find()]
        assert len(set(nexts)) > 40
        assert min(nexts) >= 0.8 * period
        assert max(nexts) <= 1.2 * period


async def test_a_round_that_waits_after_a_failure_is_not_hastened_by_the_clock(
    schedule: Schedule, states: States, clock: Hands
) -> None:
    await opened(states)
    later = NOW + timedelta(hours=2)
    waiting = {"wanted_at": NOW, "due_at": later, "attempts": 9}
    await states.collection.update_one({}, {"$set": {"delta": waiting}})
    clock.now += timedelta(hours=1)
    await schedule.turn()
    state = await states.collection.find_one({})
    assert state
    assert state["delta"]["due_at"] == later


async def test_calendars_that_leave_have_no_clock(schedule: Schedule, states: States, clock: Hands) -> None:
    await opened(states)
    await states.collection.update_many({}, {"$set": {"state": "closed"}})
    clock.now += timedelta(days=3)
    await schedule.turn()
    assert (await marked(states, "delta"), await marked(states, "full")) == (0, 0)


@pytest.mark.parametrize("mark", ["delta", "full", "checks", "closing"])
async def test_looking_for_due_work_touches_only_what_is_due(states: States, mark: str) -> None:
    await opened(states, 100)
    await states.collection.update_one({"_id": "cal_7"}, {"$set": {mark: {"wanted_at": NOW, "due_at": NOW}}})
    due = f"{mark}.due_at"
    plan = await states.collection.find({due: {"$lte": NOW}}).sort(due, 1).limit(1).explain()
    assert plan["executionStats"]["totalDocsExamined"] == 1
    assert plan["executionStats"]["totalKeysExamined"] <= 2


async def test_looking_for_labels_and_suspects_touches_only_those(database: Database) -> None:
    messaging: Messaging = RecordedMessaging()
    appointments = make_appointments(database, Announcer(database.appointments, messaging, message_of), private_details=False)
    await appointments.create_indexes()
    calm = [{"event_id": str(number), "connection": "con", "calendar": "cal", "removed": None} for number in range(200)]
    await appointments.collection.insert_many(calm)
    mark = {"label": {"mark": {"wanted_at": NOW, "due_at": NOW}}, "suspect": {"misses": 0}}
    await appointments.collection.update_one({"event_id": "7"}, {"$set": mark})
    for query in (
        {"label.mark.due_at": {"$lte": NOW}},
        {"calendar": "cal", "suspect": {"$exists": True}, "removed": None},
    ):
        plan = await appointments.collection.find(query).explain()
        assert plan["executionStats"]["totalDocsExamined"] == 1, query
