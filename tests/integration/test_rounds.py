"""Rounds on a real MongoDB, along chains of links as we please: where they begin, end and give way."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.announce import Announcer
from common.errors import Transient
from common.graph import LinkExpired, Page
from common.marks import Claim
from common.store import Database, Document
from sync_worker.appointments import make_appointments, message_of
from sync_worker.round import Rounds
from sync_worker.states import make_states
from tests.fakes.recorded_messaging import RecordedMessaging

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
WINDOW = {"start": NOW - timedelta(days=30), "end": NOW + timedelta(days=365)}
EXPIRED = "expired"


class Chains:
    """Graph and mailbox in one: each link leads to another, a `delta…` one ends a chain, and `EXPIRED` is no longer known."""

    def __init__(self, links: dict[str, str]) -> None:
        self.links = links
        self.read: list[str] = []
        self.meanwhile: Callable[[], Awaitable[Any]] | None = None

    def mailbox(self, *_: Any, **__: Any) -> "Chains":
        return self

    def delta_url(self, *_: Any) -> str:
        return "begin"

    async def master_categories(self) -> list[Any]:
        return []

    async def create_master_category(self, *_: Any) -> None:
        """Nobody looks at them here."""

    async def delta_page(self, link: str) -> Page:
        self.read.append(link)
        if self.meanwhile:
            await self.meanwhile()
        if link == EXPIRED:
            raise LinkExpired("SyncStateNotFound")
        following = self.links[link]
        ends = following.startswith("delta")
        return Page(value=[], delta_link=following if ends else None, next_link=None if ends else following)


@pytest.fixture
async def calendar(database: Database) -> str:
    """Its old chain stands at `delta-old`."""
    state = {"organization": "org", "connection": "con", "graph_id": "g", "state": "current", "window": WINDOW}
    await database.sync_states.insert_one(state | {"_id": "cal", "link": "delta-old"})
    connection = {"tid": "t", "oid": "o", "username": "u", "name": "n", "state": "active", "since": NOW, "created_at": NOW}
    await database.connections.insert_one(connection | {"_id": "con", "organization": "org"})
    return "cal"


def rounds(database: Database, chains: Any) -> Rounds:
    announcer = Announcer(database.appointments, RecordedMessaging(), message_of)
    appointments = make_appointments(database, announcer, private_details=False)
    return Rounds(database, chains, make_states(database), appointments, (timedelta(days=30), timedelta(days=365)))


async def state_of(database: Database, calendar: str) -> Document:
    state = await database.sync_states.find_one({"_id": calendar})
    assert state
    return state


async def claim(database: Database, calendar: str) -> Claim:
    return Claim(await state_of(database, calendar), NOW, "lease", 0, [])


async def test_the_link_of_a_new_chain_follows_when_the_old_one_has_been_read_to_its_end(database: Database, calendar: str) -> None:
    chains = Chains(
        {"begin": "next", "next": "delta-new", "delta-old": "old-2", "old-2": "delta-old-3", "delta-new": "delta-new-2"}
    )
    await rounds(database, chains).full(await claim(database, calendar), NOW)
    state = await state_of(database, calendar)
    assert (state["link"], state["newer_link"]) == ("delta-old", "delta-new")
    assert state["delta"]
    await rounds(database, chains).delta(await claim(database, calendar), NOW)
    assert chains.read == ["begin", "next", "delta-old", "old-2", "delta-new"]
    state = await state_of(database, calendar)
    assert state["link"] == "delta-new-2"
    assert "newer_link" not in state


async def test_the_first_chains_link_is_the_link(database: Database, calendar: str) -> None:
    await database.sync_states.update_one({"_id": calendar}, {"$unset": {"link": ""}, "$set": {"state": "first"}})
    await rounds(database, Chains({"begin": "delta-new"})).full(await claim(database, calendar), NOW)
    state = await state_of(database, calendar)
    assert (state["link"], state["state"]) == ("delta-new", "current")
    assert "newer_link" not in state


async def test_a_link_that_expires_in_the_middle_of_a_chain_is_forgotten_for_a_full_round(
    database: Database, calendar: str
) -> None:
    await database.sync_states.update_one({"_id": calendar}, {"$set": {"newer_link": "delta-new"}})
    chains = Chains({"delta-old": EXPIRED})
    await rounds(database, chains).delta(await claim(database, calendar), NOW)
    state = await state_of(database, calendar)
    assert chains.read == ["delta-old", EXPIRED]
    assert not {"link", "newer_link"} & state.keys()
    assert state["full"]["due_at"] == NOW


async def test_a_chain_that_expires_in_the_middle_of_a_full_round_begins_anew(database: Database, calendar: str) -> None:
    with pytest.raises(Transient, match="expired"):
        await rounds(database, Chains({"begin": EXPIRED})).full(await claim(database, calendar), NOW)
    state = await state_of(database, calendar)
    assert not {"chain", "progress"} & state.keys()
    assert state["link"] == "delta-old"


async def test_a_round_that_somebody_else_overtook_leaves_the_link_alone(database: Database, calendar: str) -> None:
    chains = Chains({"delta-old": "delta-stale"})

    async def overtake() -> None:
        await database.sync_states.update_one({"_id": calendar}, {"$set": {"link": "delta-fresh"}})

    chains.meanwhile = overtake
    await rounds(database, chains).delta(await claim(database, calendar), NOW)
    assert (await state_of(database, calendar))["link"] == "delta-fresh"


@pytest.mark.parametrize("mode", ["delta", "full"])
async def test_a_calendar_that_is_closed_under_a_round_ends_it_with_its_page(database: Database, calendar: str, mode: str) -> None:
    chains = Chains({"begin": "next", "delta-old": "next"})

    async def close() -> None:
        change = {"$set": {"state": "closed"}, "$unset": {"link": "", "chain": ""}}
        await database.sync_states.update_one({"_id": calendar}, change)

    chains.meanwhile = close
    made = rounds(database, chains)
    await (made.full if mode == "full" else made.delta)(await claim(database, calendar), NOW)
    assert len(chains.read) == 1
    assert not {"link", "chain", "newer_link"} & (await state_of(database, calendar)).keys()
