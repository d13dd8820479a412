"""Whatever happens to connections, in whatever order: what must always hold holds after every step, and nothing leaks."""

import itertools
import os
import random
from dataclasses import dataclass

import msal
import pytest

from auth.settings import Settings
from common.messages import ConnectionChanged
from common.store import Connection, read
from outlook_sandbox.client import SandboxControl
from settings_web.accounts import account
from settings_web.reasons import STATES, WHY
from tests.integration.auth_secrets import Rank, Readable
from tests.integration.auth_walk import DEAD, Heard, Person, Walk
from tests.integration.auth_world import Document, vaulted
from tests.kafka_reading import speaking
from tests.serving import until

SEQUENCES = range(int(os.environ.get("AUTH_SEQUENCES", "10")))
LENGTH = 30
STATE_AFTER = {"connected": "active", "reconnected": "active"} | {state: state for state in (*DEAD, "removing", "removed")}


@dataclass
class Stood:
    """A connection as the step before left it."""

    version: int = 0
    sealed: bytes = b""
    rank: Rank = (-1, -1)
    history: tuple[str, ...] = ()


class Watch:
    """Looks at every stored connection, and compares it with what it was."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._stood: dict[str, Stood] = {}

    async def look(self) -> None:
        async for document in self._walk.readable.database.connections.find():
            before = self._stood.setdefault(document["_id"], Stood())
            self._history_only_grows(document, before)
            self._state_is_what_the_history_says(document)
            self._a_page_says_what_is_next(document)
            await self._each_change_is_announced(document)
            if "cache" in document:
                await self._cache_is_never_an_older_one(document, before)
                assert "lease" not in document, "nobody is at it any more"

    async def _cache_is_never_an_older_one(self, document: Document, before: Stood) -> None:
        version, sealed = document["cache"]["version"], document["cache"]["sealed"]
        opened = await vaulted(self._walk.readable.database, *self._walk.kids).open(document["_id"])
        token = _refresh_token(opened.cache)
        rank = self._walk.ledger.ranks[token]
        assert version > before.version or (version, sealed) == (before.version, before.sealed)
        assert rank >= before.rank, "an older refresh token replaced a newer one"
        before.version, before.sealed, before.rank = version, sealed, rank
        if document["state"] in DEAD:
            assert self._walk.ledger.refused[token] >= 2, "it is dead for a grant that Microsoft didn't refuse, or not twice"

    def _history_only_grows(self, document: Document, before: Stood) -> None:
        told = tuple(map(repr, document["history"]))
        assert told[: len(before.history)] == before.history
        before.history = told

    def _state_is_what_the_history_says(self, document: Document) -> None:
        last = document["history"][-1]
        assert (document["state"], document["reason"]) == (STATE_AFTER[last["what"]], last.get("reason"))
        entered = _changes(document["history"])[-1]
        assert (document["since"], document["change"]) == (entered["at"], entered["what"])

    async def _each_change_is_announced(self, document: Document) -> None:
        changes = [entry["what"] for entry in _changes(document["history"])]
        assert document["sequence"] == len(changes)

        def announced() -> bool:
            of_it = [one.change for one in self._walk.messaging.of(ConnectionChanged) if one.connection == document["_id"]]
            return [change for change, _ in itertools.groupby(of_it)] == changes

        await until(announced)

    def _a_page_says_what_is_next(self, document: Document) -> None:
        """How each way out is walked is seen at the end; removed ones are only history."""
        shown = account(read(Connection, document), [])
        assert shown.state in STATES
        assert shown.state == "active" or (shown.reason and shown.next_step)
        assert shown.state not in DEAD or document["reason"] in WHY


def _changes(history: list[Document]) -> list[Document]:
    """Those entries which changed the state, and so must be announced."""
    changes: list[Document] = []
    for entry in history:
        if not changes or STATE_AFTER[entry["what"]] != STATE_AFTER[changes[-1]["what"]]:
            changes.append(entry)
    return changes


def _refresh_token(cache: str) -> str:
    opened = msal.SerializableTokenCache()
    opened.deserialize(cache)
    [kept] = opened.search(msal.TokenCache.CredentialType.REFRESH_TOKEN)
    return str(kept["secret"])


@pytest.mark.parametrize("seed", SEQUENCES)
async def test_whatever_happens_in_whatever_order_nothing_is_lost_and_nothing_leaks(
    settings: Settings, readable: Readable, redis_url: str, organization: str, control: SandboxControl, unique: str, seed: int
) -> None:
    people = [
        Person(await control.create_account(f"pia.{unique}@praxis-{unique}.example", "Pia Praxis")),
        Person(await control.create_account(f"jo.{unique}@outlook.example", "Jo Privat", kind="personal")),
    ]
    async with speaking(readable.kafka) as broker:
        walk = Walk(settings, readable, redis_url, organization, control, Heard(broker), people, random.Random(seed))
        watch = Watch(walk)
        async with walk.under_way():
            try:
                for _ in range(LENGTH):
                    await walk.step()
                    await watch.look()
                await walk.walk_out()
                await walk.sweep()
                await watch.look()
            except BaseException as error:
                error.add_note(f"steps: {', '.join(walk.taken)}")
                raise
            assert await readable.find(walk.ledger.secrets) == []
    kinds = set(walk.ledger.secrets.values())
    assert kinds >= {"access_token", "refresh_token", "id_token", "code", "code_verifier", "client_secret", "key k1"}
