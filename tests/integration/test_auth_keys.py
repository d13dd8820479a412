"""The rotation of auth's keys while it runs: nothing is lost, nothing newer is undone, and a missing key is said clearly."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from attendara_cli.keys import forget_key, list_keys, rotate_keys
from attendara_cli.settings import Settings as CliSettings
from auth.connections import Connections
from auth.history import Standing
from auth.keys import Keys
from auth.settings import Settings
from auth.vault import make_vault
from tests.integration.auth_world import (
    ANNA,
    JONAS,
    NOW,
    Auth,
    Document,
    Sandbox,
    auth_process,
    fingerprint,
    made,
    running,
    token_keys,
    vaulted,
)
from tests.servers import Servers

Replica = Callable[..., Awaitable[Auth]]


@pytest.fixture
async def replica(
    settings: Settings, database: AsyncDatabase[Document], redis_url: str, organization: str
) -> AsyncIterator[Replica]:
    """Starts replicas of auth by the ids of their TOKEN_KEYS, all over one database."""
    async with AsyncExitStack() as stack:

        async def start(*kids: str, ready: bool = True, **instead: bytes) -> Auth:
            own = settings.model_copy(update={"token_keys": token_keys(*kids, **instead)})
            started = await stack.enter_async_context(running(own, database, redis_url, organization))
            if ready:
                await started.ready()
            return started

        yield start


async def rotate(auth: Auth, to: str, **body: Any) -> Document:
    answer = await auth.http.post("/internal/v1/keys/rotate", json={"to": to} | body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def records(auth: Auth) -> dict[str, int]:
    return {use["key"]: use["records"] for use in (await auth.http.get("/internal/v1/keys")).json()}


async def test_all_records_move_to_the_active_key_and_go_on_serving(replica: Replica) -> None:
    old = await replica("k1", "k2")
    connections = [await old.connected(ANNA), await old.connected(JONAS)]
    tokens = [await old.access_token(connection) for connection in connections]
    new = await replica("k2", "k1")
    assert await records(new) == {"k2": 0, "k1": 2}

    done = await rotate(new, "k2")

    assert done == {"active": "k2", "rewrapped": 2, "overtaken": 0, "unreadable": [], "after": None}
    assert await records(new) == {"k2": 2, "k1": 0}
    alone = await replica("k2")
    for auth in (old, new, alone):
        assert [await auth.access_token(connection) for connection in connections] == tokens
    refreshed = await alone.token(connections[0], refused=fingerprint(tokens[0]))
    assert refreshed.status_code == 200


async def test_a_rotation_moves_a_bounded_part_and_goes_on_behind_it(replica: Replica, database: AsyncDatabase[Document]) -> None:
    connections = vaulted(database, "k1", "k2")
    ids = sorted([await made(connections, number) for number in range(7)])
    auth = await replica("k2", "k1")

    parts = [await rotate(auth, "k2", limit=3)]
    while parts[-1]["after"]:
        parts.append(await rotate(auth, "k2", limit=3, after=parts[-1]["after"]))

    assert [(part["rewrapped"], part["after"]) for part in parts] == [(3, ids[2]), (3, ids[5]), (1, None)]
    assert await records(auth) == {"k2": 7, "k1": 0}
    too_many = await auth.http.post("/internal/v1/keys/rotate", json={"to": "k2", "limit": 301})
    assert too_many.status_code == 422


async def test_a_rotation_changes_nothing_but_the_wrapping(replica: Replica) -> None:
    auth = await replica("k1")
    connection = await auth.connected()
    before = await auth.stored(connection)

    await rotate(await replica("k2", "k1"), "k2")

    after = await auth.stored(connection)
    assert after["key"]["kid"] == "k2"
    assert {name: value for name, value in after.items() if name != "key"} == {
        name: value for name, value in before.items() if name != "key"
    }


async def test_a_replica_of_the_old_order_refuses_to_turn_a_rotation_back_and_loses_nothing(replica: Replica) -> None:
    old, new = await replica("k1", "k2"), await replica("k2", "k1")
    first = await new.connected(ANNA)
    await rotate(new, "k2")

    refused = await old.http.post("/internal/v1/keys/rotate", json={"to": "k2"})
    second = await old.connected(JONAS)
    await old.access_token(first)

    assert (refused.status_code, refused.json()["title"]) == (409, "another-active-key")
    assert await records(new) == {"k2": 1, "k1": 1}
    await rotate(new, "k2")
    alone = await replica("k2")
    assert [(await alone.token(connection)).status_code for connection in (first, second)] == [200, 200]


async def test_replicas_that_rotate_against_each_other_while_all_is_in_use_lose_nothing(database: AsyncDatabase[Document]) -> None:
    """What a rollout in the wrong order can do at worst: each replica re-wraps with its own key, again and again."""
    chance = random.Random(7)
    sides = [vaulted(database, "k1", "k2"), vaulted(database, "k2", "k1")]
    ids = [await made(sides[number % 2], number, f"{number}: 1") for number in range(12)]
    stored = {connection: f"{number}: 1" for number, connection in enumerate(ids)}

    async def rotating(side: Connections) -> None:
        keys = Keys(side.collection, side.vault)
        for _ in range(15):
            found = await keys.rewrap(side.vault.active, "")
            assert not found.unreadable

    async def writing(connection: str) -> None:
        for turn in range(2, 12):
            side = chance.choice(sides)
            opened = await side.open(connection)
            cache = f"{ids.index(connection)}: {turn}"
            kept = side.keep_cache(opened, cache, NOW) if turn % 3 else side.renew(opened, cache, "anna", NOW, who="usr_1")
            if await kept:
                stored[connection] = cache

    await asyncio.gather(*(rotating(side) for side in sides), *(writing(connection) for connection in ids))

    assert {cache.partition(" ")[2] for cache in stored.values()} == {"11"}
    for side in sides:
        assert {connection: (await side.open(connection)).cache for connection in ids} == stored


class Between:
    """The collection of connections, where something happens between the reading of a rotation and its writing."""

    def __init__(self, database: AsyncDatabase[Document], happens: Callable[[], Awaitable[object]]) -> None:
        self._collection, self._happens = database.connections, happens

    def find(self, *args: Any, **rest: Any) -> Any:
        return self._collection.find(*args, **rest)

    async def bulk_write(self, *args: Any, **rest: Any) -> Any:
        await self._happens()
        return await self._collection.bulk_write(*args, **rest)


@pytest.mark.parametrize("what", ["destroyed", "reconnected", "rotated", "refreshed"])
async def test_a_rotation_never_undoes_what_was_written_since_it_read(database: AsyncDatabase[Document], what: str) -> None:
    connections = vaulted(database, "k1", "k2", "k3")
    connection = await made(connections, 1)
    opened = await connections.open(connection)

    async def happens() -> None:
        match what:
            case "destroyed":
                nothing = Standing(calendars=0, subscriptions=0)
                await connections.begin_removing("org_1", connection, NOW, who=None, standing=nothing)
                await connections.destroy(connection, nothing, NOW)
            case "reconnected":
                await connections.renew(opened, "a new cache", "anna", NOW, who="usr_1")
            case "rotated":
                await Keys(database.connections, make_vault(token_keys("k3", "k1"))).rewrap("k3", "")
            case "refreshed":
                await connections.keep_cache(opened, "a new cache", NOW)

    keys = Keys(Between(database, happens), make_vault(token_keys("k2", "k1")))  # type: ignore[arg-type]
    done = await keys.rewrap("k2", "")

    assert (done.rewrapped, done.overtaken) == ((1, 0) if what == "refreshed" else (0, 1))
    if what == "destroyed":
        assert "key" not in (await database.connections.find_one({"_id": connection}) or {})
    else:
        assert (await connections.open(connection)).cache == ("a cache" if what == "rotated" else "a new cache")


@pytest.mark.parametrize("broken", ["key.wrapped", "cache.sealed"])
async def test_a_record_that_can_not_be_opened_is_named_and_left_as_it_is(
    replica: Replica, database: AsyncDatabase[Document], broken: str
) -> None:
    connections = vaulted(database, "k1")
    ids = [await made(connections, number) for number in range(3)]
    await database.connections.update_one({"_id": ids[1]}, {"$set": {broken: bytes(60)}})
    before = await database.connections.find_one({"_id": ids[1]}, {"key": True, "cache": True})
    auth = await replica("k2", "k1")

    done = await rotate(auth, "k2")

    assert (done["rewrapped"], done["unreadable"]) == (2, [{"connection": ids[1], "key": "k1"}])
    assert await database.connections.find_one({"_id": ids[1]}, {"key": True, "cache": True}) == before
    assert await records(auth) == {"k2": 2, "k1": 1}


async def test_signing_in_again_mends_a_record_that_can_not_be_opened(replica: Replica) -> None:
    auth = await replica("k1")
    connection = await auth.connected(ANNA)
    await auth.connected(JONAS)
    await auth.database.connections.update_one({"_id": connection}, {"$set": {"key.wrapped": bytes(60)}})
    broken = await auth.token(connection)

    outcome = await auth.connect(ANNA, connection)

    assert (broken.status_code, broken.json()["title"]) == (502, "unreadable")
    assert (outcome["outcome"], outcome["connection"]) == ("accepted", connection)
    assert (await auth.token(connection)).status_code == 200


async def test_a_key_that_records_name_and_auth_does_not_have_is_listed(
    replica: Replica, database: AsyncDatabase[Document]
) -> None:
    auth = await replica("k1")
    await made(vaulted(database, "k2"), 1)

    assert (await auth.http.get("/internal/v1/keys")).json() == [
        {"key": "k1", "known": True, "active": True, "records": 0},
        {"key": "k2", "known": False, "active": False, "records": 1},
    ]


@pytest.mark.parametrize(
    ("kids", "instead", "words"),
    [
        (["k2"], {}, "TOKEN_KEYS has no key 'k1', which {connection} is encrypted with"),
        (["k1"], {"k1": bytes(32)}, "a wrong key in TOKEN_KEYS"),
        (["k2", "k1"], {"k1": bytes(32)}, "a wrong key in TOKEN_KEYS"),
    ],
    ids=["missing", "wrong", "wrong behind a new one"],
)
async def test_a_start_with_a_missing_or_wrong_key_is_refused_in_words_and_changes_nothing(
    replica: Replica, kids: list[str], instead: dict[str, bytes], words: str
) -> None:
    auth = await replica("k1")
    connection = await auth.connected()
    before = await auth.stored(connection)

    refused = await replica(*kids, ready=False, **instead)
    await refused.until_unready("token_keys")
    readiness = (await refused.http.get("/readyz")).json()
    answers = [
        await refused.token(connection),
        await refused.http.post("/internal/v1/connects", json=refused.asker),
        await refused.remove(connection),
        await refused.http.post("/internal/v1/keys/rotate", json={"to": kids[0]}),
    ]

    assert words.format(connection=connection) in readiness["token_keys"]
    assert words.format(connection=connection) in readiness["prepared"]
    assert [(answer.status_code, answer.json()["title"]) for answer in answers] == [(503, "not-ready")] * 4
    assert await auth.stored(connection) == before
    assert (await auth.token(connection)).status_code == 200


async def test_one_record_that_was_changed_keeps_nobody_from_starting(replica: Replica, database: AsyncDatabase[Document]) -> None:
    connections = vaulted(database, "k1")
    first = await made(connections, 1)
    await made(connections, 2)
    await database.connections.update_one({"_id": first}, {"$set": {"key.wrapped": bytes(60)}})

    await replica("k1")


async def test_the_operators_command_rotates_and_forgets_while_auth_runs(
    sandbox: Sandbox, servers: Servers, database: AsyncDatabase[Document], tmp_path: Path
) -> None:
    connections = vaulted(database, "k1")
    ids = [await made(connections, number) for number in range(350)]
    keys = ",".join(key.get_secret_value() for key in token_keys("k2", "k1"))
    said: list[str] = []
    async with auth_process(sandbox, servers, database, tmp_path, TOKEN_KEYS=keys) as url:
        cli = CliSettings(auth_url=url, service_credential="cli:another")
        with pytest.raises(SystemExit, match="k1 can't be forgotten: 350 records can't be read without it"):
            await forget_key(cli, "k1")
        await database.connections.update_one({"_id": ids[7]}, {"$set": {"cache.sealed": bytes(60)}})
        with pytest.raises(SystemExit, match="1 record can't be opened"):
            await rotate_keys(cli, said.append)
        with pytest.raises(SystemExit, match="k1 can't be forgotten: 1 record can't be read without it"):
            await forget_key(cli, "k1")
        await database.connections.delete_one({"_id": ids[7]})
        with pytest.raises(SystemExit, match="k2 can't be forgotten: it is the active one"):
            await forget_key(cli, "k2")
        with pytest.raises(SystemExit, match="auth knows no key k9; there are k2, k1"):
            await forget_key(cli, "k9")
        free = await forget_key(cli, "k1")
        await list_keys(cli, said.append)

    assert said == [
        *("Before:", "  k2: 0 records (active)", "  k1: 350 records (known)"),
        *("  299 of 350 re-wrapped", "  349 of 350 re-wrapped"),
        *("After:", "  k2: 349 records (active)", "  k1: 1 record (known)"),
        f"{ids[7]} can't be opened with k1; it was left as it is",
        *("  k2: 349 records (active)", "  k1: 0 records (known)"),
    ]
    assert free.startswith("No record needs k1.")
    alone = vaulted(database, "k2")
    assert {(await alone.open(connection)).cache for connection in ids if connection != ids[7]} == {"a cache"}
