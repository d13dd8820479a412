"""The renewer with MongoDB, Redis, the broker, the gateway and the sandbox as real servers: a subscription's whole life."""

import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from pydantic import SecretStr

from common.announce import Announcer
from common.client_state import ClientStates
from common.errors import Conflict
from common.graph import Graph, make_graph
from common.graph.client import GraphClientSettings
from common.ids import new_id
from common.marks import Claim
from common.messages import CalendarChanged, CalendarSyncRequested, ConnectionChanged, LifecycleReceived, NotificationReceived
from common.messaging import Messaging, make_messaging
from common.runner import Runner
from common.store import AWAY, Database, Document
from outlook_sandbox.accounts import Account, new_account
from outlook_sandbox.app import make_sandbox
from outlook_sandbox.database import Database as SandboxDatabase
from outlook_sandbox.graph.mailbox import Mailbox
from outlook_sandbox.settings import Settings as SandboxSettings
from outlook_sandbox.state import Sandbox
from renewer.app import create_app
from renewer.reconcile import Reconcile
from renewer.subscriptions import Subscriptions, announcement
from renewer.sweep import Sweep
from renewer.terms import Terms
from renewer.tools import Tools
from tests.fakes.token_door import TokenDoor
from tests.gateway import make_gateway
from tests.graph_contract import checked_app
from tests.kafka_reading import Reading, reading, settings_of
from tests.servers import Kafka
from tests.serving import serving, until

KEYS = [SecretStr(f"k:{base64.b64encode(b'o' * 32).decode()}")]
CLIENT_STATES = ClientStates(KEYS)
TEN_THOUSAND_MINUTES = timedelta(minutes=10_000)


@dataclass
class World:
    """`messaging` speaks as the other services; `moved`: how far the renewer's clock is ahead."""

    database: Database
    sandbox: Sandbox
    account: Account
    door: TokenDoor
    messaging: Messaging
    organization: str
    connection: str
    graph: Graph
    terms: Terms
    moved: timedelta = timedelta(0)
    said: dict[type[Any], Reading[Any]] = field(default_factory=dict)

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.moved

    def move(self, by: timedelta) -> None:
        """Microsoft's clock and the renewer's together."""
        self.moved += by
        self.sandbox.clock.advance(by)

    async def add(self, graph_id: str | None = None, *, say: bool = True) -> str:
        calendar = new_id("cal")
        default = self.sandbox.mailboxes.of(self.account).default_calendar
        assert default is not None
        await self.database.calendars.insert_one(
            {
                "_id": calendar,
                "organization": self.organization,
                "connection": self.connection,
                "graph_id": graph_id or default.id,
                "name": "Practice",
                "state": "active",
                "created_at": self.clock(),
            }
        )
        if say:
            await self.say_calendar(calendar, "added")
        return calendar

    async def remove(self, calendar: str, *, say: bool = True) -> None:
        await self.database.calendars.update_one({"_id": calendar}, {"$set": {"state": "removing"}})
        if say:
            await self.say_calendar(calendar, "removing")

    async def say_calendar(self, calendar: str, change: Any) -> None:
        ids = {"organization": self.organization, "connection": self.connection, "calendar": calendar}
        await self.messaging.publish(CalendarChanged(**ids, change=change))

    async def say_lifecycle(self, held: Document, kind: Any) -> None:
        ids = {"calendar": held["calendar"], "subscription": held["graph_id"]}
        await self.messaging.publish(LifecycleReceived(**ids, kind=kind, received_at=self.clock()))

    async def held(self, calendar: str, **wanted: Any) -> Document:
        """The calendar's subscription, once it is as wanted."""
        found: Document = await until(lambda: self.database.subscriptions.find_one({"calendar": calendar} | wanted))
        return found

    async def settled(self, calendar: str) -> Document:
        """Active, and its round asked for."""
        return await self.held(calendar, state="active", sync_reason=None, **{"work.lease": {"$exists": False}})

    def at_graph(self) -> list[Any]:
        return self.sandbox.subscriptions.of_account(self.account.id)

    def tools(self) -> Tools:
        """A second renewer's."""
        subscriptions, messaging = Subscriptions(self.database), self.messaging
        announcer = Announcer(subscriptions.collection, messaging, announcement)
        return Tools(self.database, subscriptions, self.graph, messaging, announcer, CLIENT_STATES, self.terms)

    def sweep(self) -> Sweep:
        tools = self.tools()
        runner = Runner("never run", tools.subscriptions.marks, Reconcile(tools), at_once=1)
        return Sweep(self.database, tools.subscriptions, tools.announcer, runner, self.clock, self.terms.notification_url)

    def asked(self, method: str) -> int:
        return len([e for e in self.sandbox.journal.entries(0) if e.method == method and "/subscriptions" in e.path])

    async def sync_reasons(self, calendar: str, at_least: int = 1) -> list[str]:
        found = await self.said[CalendarSyncRequested].of(lambda said: said.calendar == calendar, at_least)
        return [said.reason for said in found]


@pytest.fixture
def minutes() -> int:
    """The life that is asked for."""
    return 10_000


@pytest.fixture
async def world(
    database: Database, redis_url: str, topics: Kafka, unique: str, organization: str, minutes: int
) -> AsyncIterator[World]:
    settings = settings_of(topics)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        made: list[Sandbox] = []

        def sandbox_at(address: str) -> Any:
            made.append(make_sandbox(SandboxSettings(http_port=urlsplit(address).port or 0), SandboxDatabase()))
            return checked_app(made[0])

        sandbox_url = await enter(serving(sandbox_at))
        sandbox = made[0]
        account = sandbox.accounts.add(new_account("work", f"{unique}@practice.example", "Anna"))
        gateway_url = await enter(serving(lambda _: make_gateway(topics, KEYS)))
        door = TokenDoor(sandbox_url)
        door_url = await enter(serving(lambda _: door.app))
        messaging = make_messaging("tests", settings)
        await enter(messaging.running())
        graph_settings = GraphClientSettings(
            graph_url=f"{sandbox_url}/v1.0",
            auth_url=door_url,
            service_credential=SecretStr("renewer:secret"),
            redis_url=redis_url,
        )
        graph = await enter(make_graph(graph_settings))
        world = World(database, sandbox, account, door, messaging, organization, new_id("con"), graph, Terms(gateway_url, minutes))
        door.accounts[world.connection] = account.id
        await database.connections.insert_one(
            {
                "_id": world.connection,
                "organization": organization,
                "tid": account.tid,
                "oid": account.id,
                "username": account.username,
                "name": "Anna",
                "state": "active",
                "since": world.clock(),
                "created_at": world.clock(),
            }
        )
        own = make_messaging("renewer", settings, AWAY)
        own.group = f"renewer-{unique}"
        renewer = create_app(own, database, graph, CLIENT_STATES, world.terms, world.clock)
        renewer_url = await enter(serving(lambda _: renewer))
        for kind in (CalendarSyncRequested, CalendarChanged, NotificationReceived):
            world.said[kind] = await enter(reading(topics, kind))
        client = await enter(httpx2.AsyncClient(trust_env=False))
        await until(lambda: _ready(client, renewer_url))
        await until(lambda: _ready(client, gateway_url))
        await until(lambda: messaging.started)
        yield world


async def _ready(client: httpx2.AsyncClient, address: str) -> bool:
    return (await client.get(f"{address}/readyz")).status_code == 200


async def test_an_added_calendar_is_subscribed_and_a_round_is_asked_for(world: World) -> None:
    calendar = await world.add()

    held = await world.settled(calendar)

    [made] = world.at_graph()
    assert (made.id, made.resource) == (held["graph_id"], f"/me/calendars/{made.calendar}/events")
    assert CLIENT_STATES.verify(made.client_state) == calendar
    assert made.lifecycle_url.endswith("/graph/lifecycle")
    assert made.immutable_ids
    assert timedelta(0) < world.clock() + TEN_THOUSAND_MINUTES - held["expires_at"] < timedelta(minutes=1)
    assert await world.sync_reasons(calendar) == ["recreated"]


async def test_a_change_in_outlook_reaches_kafka_under_the_calendar(world: World) -> None:
    calendar = await world.add()
    await world.settled(calendar)
    mailbox = world.sandbox.mailboxes.of(world.account)
    token = world.sandbox.tokens.issue(world.account.id, "a", frozenset({"Calendars.ReadWrite"})).access_token
    start = {"dateTime": "2026-11-24T09:00:00", "timeZone": "UTC"}
    async with httpx2.AsyncClient(base_url=world.door.sandbox, trust_env=False) as outlook:
        made = await outlook.post(
            f"/v1.0/me/calendars/{mailbox.default_calendar.id if mailbox.default_calendar else ''}/events",
            json={"subject": "x", "start": start, "end": start},
            headers={"Authorization": f"Bearer {token}"},
        )

    assert made.status_code == 201
    assert await world.said[NotificationReceived].of(lambda said: said.calendar == calendar)


async def test_a_message_that_comes_again_makes_no_second_subscription(world: World) -> None:
    calendar = await world.add()
    for _ in range(5):
        await world.say_calendar(calendar, "added")

    await world.settled(calendar)

    assert await world.database.subscriptions.count_documents({}) == 1
    assert len(world.at_graph()) == 1


async def test_it_is_renewed_when_a_third_of_its_life_is_left(world: World) -> None:
    calendar = await world.add()
    before = await world.settled(calendar)
    life = before["expires_at"] - world.clock()
    assert life * 0.59 < before["renew_at"] - world.clock() <= life * 2 / 3

    world.move(before["renew_at"] - world.clock() + timedelta(seconds=1))

    after = await world.held(calendar, expires_at={"$gt": before["expires_at"]})
    assert after["graph_id"] == before["graph_id"]
    assert abs(world.at_graph()[0].expires - after["expires_at"]) < timedelta(milliseconds=1)
    assert world.asked("POST") == 1


async def test_one_that_graph_lost_is_made_anew_and_what_was_missed_is_fetched(world: World) -> None:
    calendar = await world.add()
    before = await world.settled(calendar)
    world.sandbox.subscriptions.remove(world.at_graph()[0])

    world.move(before["renew_at"] - world.clock() + timedelta(seconds=1))

    after = await world.held(calendar, graph_id={"$nin": [None, before["graph_id"]]})
    assert [subscription.id for subscription in world.at_graph()] == [after["graph_id"]]
    assert await world.sync_reasons(calendar, 2) == ["recreated", "missed"]


async def test_a_removed_calendar_loses_its_subscription_and_its_document(world: World) -> None:
    calendar = await world.add()
    await world.settled(calendar)

    await world.remove(calendar)

    await until(lambda: _gone(world, calendar))
    assert world.at_graph() == []


async def _gone(world: World, calendar: str) -> bool:
    return await world.database.subscriptions.find_one({"calendar": calendar}) is None


@pytest.mark.parametrize("refusal", [(409, "needs-reconnect"), (409, "needs-admin-consent"), (404, "not-found")])
async def test_without_access_a_removed_calendar_is_let_go_all_the_same(world: World, refusal: tuple[int, str]) -> None:
    calendar = await world.add()
    held = await world.settled(calendar)
    world.door.refusals[world.connection] = refusal
    world.move(timedelta(minutes=6))  # the token that is still in memory is forgotten
    assert held["renew_at"] > world.clock()
    for token in list(world.sandbox.tokens._access):
        world.sandbox.tokens._drop_access(token)

    await world.remove(calendar)

    await until(lambda: _gone(world, calendar))


async def test_reauthorization_renews_at_once(world: World) -> None:
    held = await world.settled(await world.add())

    await world.say_lifecycle(held, "reauthorizationRequired")

    await until(lambda: world.asked("PATCH") == 1)
    after = await world.held(held["calendar"], renew_at={"$gt": held["renew_at"] - timedelta(hours=17)})
    assert after["graph_id"] == held["graph_id"]


async def test_a_removed_subscription_is_made_anew(world: World) -> None:
    held = await world.settled(await world.add())
    world.sandbox.subscriptions.remove(world.at_graph()[0])

    await world.say_lifecycle(held, "subscriptionRemoved")

    after = await world.held(held["calendar"], state="active", graph_id={"$nin": [None, held["graph_id"]]})
    assert world.at_graph()[0].id == after["graph_id"]
    assert await world.sync_reasons(held["calendar"], 2) == ["recreated", "recreated"]


async def test_missed_notifications_are_fetched(world: World) -> None:
    held = await world.settled(await world.add())

    await world.say_lifecycle(held, "missed")

    assert await world.sync_reasons(held["calendar"], 2) == ["recreated", "missed"]


async def test_lifecycle_of_a_subscription_that_is_not_ours_changes_nothing(world: World) -> None:
    held = await world.settled(await world.add())

    await world.say_lifecycle(held | {"graph_id": "another"}, "subscriptionRemoved")
    await world.say_lifecycle(held | {"calendar": new_id("cal")}, "subscriptionRemoved")
    await world.say_lifecycle(held, "unknown")
    await world.say_lifecycle(held, "missed")

    assert await world.sync_reasons(held["calendar"], 2) == ["recreated", "missed"]
    assert (await world.held(held["calendar"]))["graph_id"] == held["graph_id"]


async def test_a_subscription_whose_making_was_never_answered_is_replaced(world: World) -> None:
    held = await world.settled(await world.add())
    lost = {"state": "wanted", "graph_id": None}
    await world.database.subscriptions.update_one({"_id": held["_id"]}, {"$set": lost})

    await world.say_calendar(held["calendar"], "added")

    after = await world.held(held["calendar"], graph_id={"$nin": [None, held["graph_id"]]})
    assert [subscription.id for subscription in world.at_graph()] == [after["graph_id"]]


async def test_another_organizations_subscription_of_the_same_calendar_stays(world: World) -> None:
    first = await world.settled(await world.add())
    connection = await world.database.connections.find_one({"_id": world.connection})
    assert connection
    world.organization, world.connection = f"{world.organization}_next_door", new_id("con")
    world.door.accounts[world.connection] = world.account.id
    await world.database.connections.insert_one(connection | {"_id": world.connection, "organization": world.organization})

    second = await world.held(await world.add(), state="no-push")

    assert "another organization" in second["last_error"]
    assert [subscription.id for subscription in world.at_graph()] == [first["graph_id"]]
    await world.remove(second["calendar"])
    await until(lambda: _gone(world, second["calendar"]))
    assert [subscription.id for subscription in world.at_graph()] == [first["graph_id"]]


async def test_a_calendar_that_can_have_no_push_says_so_once_and_is_tried_again_daily(world: World) -> None:
    mailbox = world.sandbox.mailboxes.of(world.account)
    shared = mailbox.add_calendar("Shared", owner=("Sabine", "sabine@practice.example"), can_edit=True)
    calendar = await world.add(shared.id)
    held = await world.held(calendar, state="no-push", **{"work.lease": {"$exists": False}})
    assert held["checked_at"] <= world.clock()
    assert "Forbidden" in held["last_error"]

    world.move(timedelta(days=1, hours=1))
    await until(lambda: world.asked("POST") >= 2)
    shared.owner_address = world.account.username
    world.move(timedelta(days=1, hours=1))

    await world.held(calendar, state="active")
    said = await world.said[CalendarChanged].of(lambda said: said.calendar == calendar and said.change != "added", 2)
    assert [message.change for message in said] == ["push-lost", "push-restored"]


async def test_a_reconnected_account_gets_its_subscriptions_at_once(world: World) -> None:
    world.door.refusals[world.connection] = (409, "needs-reconnect")
    calendar = await world.add()
    await world.held(calendar, **{"work.attempts": {"$gte": 1}})
    subscriptions = world.database.subscriptions
    await subscriptions.update_one({"calendar": calendar}, {"$set": {"work.due_at": world.clock() + timedelta(hours=1)}})
    assert world.at_graph() == []

    del world.door.refusals[world.connection]
    ids = {"organization": world.organization, "connection": world.connection}
    await world.messaging.publish(ConnectionChanged(**ids, change="reconnected"))

    assert (await world.settled(calendar))["last_error"] is None


async def test_after_a_reconnect_a_subscription_that_stood_all_the_time_is_checked(world: World) -> None:
    calendar = await world.add()
    before = await world.settled(calendar)
    world.move(timedelta(minutes=5))
    ids = {"organization": world.organization, "connection": world.connection}
    await world.messaging.publish(ConnectionChanged(**ids, change="reconnected"))

    after = await world.held(calendar, checked_at={"$gt": before["checked_at"]})
    assert after["graph_id"] == before["graph_id"]


async def test_messages_about_what_is_unknown_are_dropped_and_the_next_one_is_heard(world: World) -> None:
    await world.say_calendar(new_id("cal"), "added")
    nobody = {"organization": world.organization, "connection": new_id("con")}
    await world.messaging.publish(ConnectionChanged(**nobody, change="reconnected"))

    calendar = await world.add()
    held = await world.settled(calendar)
    stranger = {"organization": "org_other", "connection": world.connection}
    await world.messaging.publish(CalendarChanged(**stranger, calendar=calendar, change="removing"))
    await world.say_calendar(calendar, "added")

    assert (await world.settled(calendar))["_id"] == held["_id"]


@pytest.mark.parametrize("minutes", [10_080])
async def test_a_life_longer_than_microsoft_allows_is_halved(world: World) -> None:
    held = await world.settled(await world.add())

    assert held["minutes"] == 5_040
    assert abs(held["expires_at"] - world.clock() - timedelta(minutes=5_040)) < timedelta(minutes=1)


async def test_the_sweep_finds_what_no_message_said(world: World) -> None:
    added, removed = await world.add(say=False), await world.add(_mailbox(world).add_calendar("Other").id)
    await world.settled(removed)
    await world.remove(removed, say=False)

    assert await world.sweep().turn() == 2

    await world.settled(added)
    await until(lambda: _gone(world, removed))
    assert await world.sweep().turn() == 0


async def test_subscriptions_follow_the_gateway_to_its_new_address(world: World) -> None:
    held = await world.settled(await world.add())
    old = {"url": "http://localhost:1/graph/notifications"}
    await world.database.subscriptions.update_one({"_id": held["_id"]}, {"$set": old})

    assert await world.sweep().turn() == 1

    after = await world.held(held["calendar"], graph_id={"$nin": [None, held["graph_id"]]})
    assert after["url"] == world.terms.notification_url
    assert [subscription.id for subscription in world.at_graph()] == [after["graph_id"]]
    assert await world.sync_reasons(held["calendar"], 2) == ["recreated", "recreated"]
    assert await world.sweep().turn() == 0


async def test_a_subscription_whose_calendar_is_no_longer_there_goes_too(world: World) -> None:
    calendar = await world.add()
    held = await world.settled(calendar)
    await world.database.calendars.delete_one({"_id": calendar})

    await world.say_lifecycle(held, "reauthorizationRequired")

    await until(lambda: _gone(world, calendar))
    assert world.at_graph() == []


async def test_one_that_lost_its_lease_takes_back_what_it_made(world: World) -> None:
    held = await world.settled(await world.add())
    await world.database.subscriptions.update_one({"_id": held["_id"]}, {"$set": {"graph_id": None, "state": "wanted"}})
    document = await world.held(held["calendar"])
    late = Claim(document, wanted_at=world.clock(), lease="long gone", attempts=0, traces=[])

    with pytest.raises(Conflict):
        await Reconcile(world.tools())(late, world.clock())

    assert world.at_graph() == []
    assert (await world.held(held["calendar"]))["graph_id"] is None


def _mailbox(world: World) -> Mailbox:
    return world.sandbox.mailboxes.of(world.account)
