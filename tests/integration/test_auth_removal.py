"""The removal of a connection: to the end, wherever it was interrupted, and with a record of what was deleted."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from auth.connections import Connections, message_of
from auth.forget import PATIENCE, Forget
from auth.vault import make_vault
from common.announce import Announcer
from common.messages import ConnectionChanged, Message
from tests.fakes.recorded_messaging import RecordedMessaging
from tests.integration.auth_world import JONAS, NOW, Auth, Document, made, token_keys


async def test_removal_waits_for_calendars_and_subscriptions_and_then_destroys_the_keys(auth: Auth) -> None:
    connection = await auth.connected()
    of_it = {"organization": auth.organization, "connection": connection}
    await auth.database.calendars.insert_one({"_id": "cal_1", **of_it})
    await auth.database.subscriptions.insert_one({"_id": "sub_1", **of_it})

    assert [(await auth.remove(connection)).status_code for _ in range(2)] == [202, 202]
    await auth.database.calendars.delete_one({"_id": "cal_1"})
    unused = await auth.connected(JONAS)
    await auth.remove(unused)
    await auth.until(unused, "removed")  # so a sweep has come by
    waiting, served = await auth.stored(connection), await auth.token(connection)
    await auth.database.subscriptions.delete_one({"_id": "sub_1"})
    await auth.until(connection, "removed")

    assert (waiting["state"], served.status_code) == ("removing", 200)
    assert not (await auth.stored(connection)).keys() & {"key", "cache", "lease"}
    assert await auth.listed() == []
    assert (await auth.remove(connection)).status_code == 404
    of_this = [message.change for message in auth.messaging.of(ConnectionChanged) if message.connection == connection]
    assert of_this == ["connected", "removing", "removed"]


async def test_removal_does_not_wait_for_ever(auth: Auth) -> None:
    connection = await auth.connected()
    await auth.database.calendars.insert_one({"_id": "cal_1", "organization": auth.organization, "connection": connection})
    await auth.remove(connection)
    long_ago = datetime.now(UTC) - timedelta(minutes=15)
    await auth.database.connections.update_one({"_id": connection}, {"$set": {"since": long_ago}})

    await auth.until(connection, "removed")


async def test_an_account_may_be_connected_anew_while_its_old_connection_goes(auth: Auth) -> None:
    old = await auth.connected()
    await auth.database.calendars.insert_one({"_id": "cal_1", "organization": auth.organization, "connection": old})
    await auth.remove(old)

    again = await auth.connect()

    assert again["connection"] != old
    assert again["existing"] is False


class Killed(BaseException):
    """The process ends here: nothing in it can catch this."""


@dataclass
class Steps:
    """Counts what a process does to the outside; at the last step that it may take, it is killed before or just after it."""

    last: int
    taken: int = 0

    def step(self) -> None:
        if self.taken == self.last:
            raise Killed
        self.taken += 1


@dataclass
class Watched:
    """A collection, whose every call is a step before it and a step after it."""

    real: Any
    steps: Steps

    def __getattr__(self, name: str) -> Callable[..., Any]:
        called = getattr(self.real, name)

        async def call(*args: Any, **rest: Any) -> Any:
            self.steps.step()
            answer = await called(*args, **rest)
            self.steps.step()
            return answer

        def find(*args: Any, **rest: Any) -> Any:
            self.steps.step()
            return called(*args, **rest)

        return find if name == "find" else call


class WatchedMessaging(RecordedMessaging):
    def __init__(self, published: list[Message], steps: Steps) -> None:
        super().__init__()
        self.published, self.steps = published, steps

    async def publish(self, *messages: Message) -> None:
        self.steps.step()
        await super().publish(*messages)
        self.steps.step()


@dataclass
class Process:
    """What one process of auth does for a removal, over a database that outlives it."""

    database: AsyncDatabase[Document]
    published: list[Message]
    steps: Steps = field(default_factory=lambda: Steps(-1))

    def __post_init__(self) -> None:
        watched: Any = {name: Watched(self.database[name], self.steps) for name in ("connections", "calendars", "subscriptions")}
        self.announcer = Announcer(watched["connections"], WatchedMessaging(self.published, self.steps), message_of)
        self.connections = Connections(watched["connections"], make_vault(token_keys("k1")), self.announcer)
        places: Any = type("Places", (), watched)
        self.forget = Forget(self.connections, places, lambda: NOW)

    async def made(self, number: int) -> str:
        connection = await made(self.connections, number)
        await self.database.calendars.insert_one({"_id": f"cal_{number}", "organization": "org_1", "connection": connection})
        return connection

    async def remove(self, connection: str) -> None:
        """Begun, looked at while a calendar is there, and ended when that is gone."""
        await self.forget.begin("org_1", connection, who="usr_2")
        await self.forget.sweep()
        await self.database.calendars.delete_many({})
        await self.forget.sweep()
        await self.announcer.announce({})


async def test_a_removal_that_was_interrupted_anywhere_is_finished_by_another_process(database: AsyncDatabase[Document]) -> None:
    for last in itertools.count():
        published: list[Message] = []
        connection = await Process(database, published).made(last)
        interrupted = Process(database, published, Steps(last))
        try:
            await interrupted.remove(connection)
        except Killed:
            pass
        else:
            break
        document = await database.connections.find_one({"_id": connection})
        assert document
        if document["state"] == "active":  # nobody was told that it is being removed: people ask again
            assert document.keys() >= {"key", "cache"}
            assert not published
            await Process(database, published).forget.begin("org_1", connection, who="usr_2")
        await finish(database, published)

        ended = await database.connections.find_one({"_id": connection})
        assert ended
        assert ended["state"] == "removed"
        assert not ended.keys() & {"key", "cache", "lease", "standing", "to_announce"}
        *_, removing, removed = ended["history"]
        assert [entry["what"] for entry in ended["history"]] == ["connected", "removing", "removed"]
        assert (removing["who"], removing["standing"]) == ("usr_2", {"calendars": 1, "subscriptions": 0})
        assert (removed["who"], removed["deleted"], removed["ended"]) == ("attendara", removing["standing"], "complete")
        told = [message.change for message in published if isinstance(message, ConnectionChanged)]
        assert told[-1] == "removed"
        assert sorted(set(told), key=["connected", "removing", "removed"].index) == list(dict.fromkeys(told))
    assert last > 20


async def finish(database: AsyncDatabase[Document], published: list[Message]) -> None:
    """What the sweeps of another process do."""
    process = Process(database, published)
    await database.calendars.delete_many({})
    await process.forget.sweep()
    await process.announcer.announce({})


async def test_two_sweeps_at_once_remove_and_record_once(database: AsyncDatabase[Document]) -> None:
    published: list[Message] = []
    one, two = Process(database, published), Process(database, published)
    connection = await one.made(1)
    await one.forget.begin("org_1", connection, who=None)
    await database.calendars.delete_many({})

    await asyncio.gather(one.forget.sweep(), two.forget.sweep())

    document = await database.connections.find_one({"_id": connection})
    assert document
    assert [entry["what"] for entry in document["history"]] == ["connected", "removing", "removed"]


async def test_what_was_not_deleted_in_time_is_recorded(database: AsyncDatabase[Document]) -> None:
    process = Process(database, [])
    connection = await process.made(1)
    of_it = {"organization": "org_1", "connection": connection}
    await database.calendars.insert_one({"_id": "cal_other", **of_it})
    await database.subscriptions.insert_one({"_id": "sub_1", **of_it})
    await process.forget.begin("org_1", connection, who="usr_2")
    await database.calendars.delete_one({"_id": "cal_other"})
    soon, late = NOW + PATIENCE - timedelta(seconds=1), NOW + PATIENCE

    process.forget.clock = lambda: soon
    await process.forget.sweep()
    still = await process.connections.open(connection)
    process.forget.clock = lambda: late
    await process.forget.sweep()

    assert still.cache == "a cache"
    removed = (await process.connections.history("org_1", connection))[-1]
    assert removed.model_dump(exclude_none=True) == {
        "at": late,
        "who": "attendara",
        "what": "removed",
        "deleted": {"calendars": 1, "subscriptions": 0},
        "left": {"calendars": 1, "subscriptions": 1},
        "destroyed": ["data key", "token cache"],
        "ended": "patience-over",
    }


async def test_calendars_of_another_organization_hold_no_removal_up(database: AsyncDatabase[Document]) -> None:
    process = Process(database, [])
    connection = await process.made(1)
    await database.calendars.update_many({}, {"$set": {"organization": "org_2"}})

    await process.forget.begin("org_1", connection, who=None)
    await process.forget.sweep()

    assert (await process.connections.history("org_1", connection))[-1].ended == "complete"
