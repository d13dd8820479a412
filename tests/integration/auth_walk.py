"""All that can happen to connections, as steps that a test takes at random, with two replicas of auth and two people."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

import httpx2

from auth.connections import message_of
from auth.forget import Forget
from auth.settings import Settings
from common.announce import Announcer
from common.errors import AdminConsentNeeded, ReconnectNeeded
from common.graph import AccessTokens, Graph
from common.messages import Message
from common.messaging import Messaging
from outlook_sandbox.client import NotThere, SandboxControl
from outlook_sandbox.control.models import AccountOpened
from outlook_sandbox.faults import TokenError, TokenTrouble
from tests.consent import Answer, give_consent
from tests.fakes.recorded_messaging import RecordedMessaging
from tests.integration.auth_secrets import Ledger, Readable, as_the_browser
from tests.integration.auth_world import LIMIT, Auth, Document, fingerprint, running, token_keys, vaulted

DEAD = ("needs-reconnect", "needs-admin-consent")
SHAPES: Sequence[Literal["unavailable", "html", "cut"]] = ("unavailable", "html", "cut")


class Heard(RecordedMessaging):
    """Keeps what was published, once the broker has it."""

    def __init__(self, broker: Messaging) -> None:
        super().__init__()
        self._broker = broker

    async def publish(self, *messages: Message) -> None:
        await self._broker.publish(*messages)
        await super().publish(*messages)


@dataclass
class Person:
    """`revoked`: what the last sign-in gave. `withdrawn`: the consent. `challenged`: Graph refuses the tokens given so far."""

    account: AccountOpened
    connection: str | None = None
    revoked: bool = False
    withdrawn: bool = False
    challenged: bool = False

    @property
    def refused(self) -> bool:
        """Whether Microsoft refuses the next refresh."""
        return self.revoked or self.withdrawn


@dataclass
class Replica:
    stack: AsyncExitStack
    auth: Auth


@dataclass
class Walk:
    settings: Settings
    readable: Readable
    redis_url: str
    organization: str
    control: SandboxControl
    messaging: Heard
    people: Sequence[Person]
    chance: random.Random
    ledger: Ledger = field(default_factory=Ledger)
    replicas: list[Replica] = field(default_factory=list)
    kids: list[str] = field(default_factory=lambda: ["k1", "k2", "k3"])
    taken: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def under_way(self) -> AsyncIterator[None]:
        self.replicas = [await self._start() for _ in range(2)]
        try:
            yield
        finally:
            for replica in self.replicas:
                await replica.stack.aclose()

    async def step(self) -> None:
        person = self.chance.choice(self.people)
        name = self.chance.choice(STEPS) if person.connection else "connect"
        self.taken.append(f"{name} {self.people.index(person)}")
        here, there = self.chance.sample([replica.auth for replica in self.replicas], 2)
        await getattr(self, f"_{name}")(person, here, there)

    async def walk_out(self) -> None:
        """Whatever state the connections are in, its way out leads to a connection that works."""
        auth = self.replicas[0].auth
        for person in self.people:
            self.taken.append(f"the way out {self.people.index(person)}")
            if person.connection is None or not await self._works(person, auth):
                await self._sign_in(person, auth, auth)
            assert await self._works(person, auth)

    # Signing in

    async def _connect(self, person: Person, here: Auth, there: Auth) -> None:
        before = person.connection
        await self._sign_in(person, here, there, named=self.chance.random() < 0.5)
        assert before in (None, person.connection)

    async def _sign_in(self, person: Person, here: Auth, there: Auth, *, named: bool = True) -> None:
        query = await self._consented(person, here, named=named)
        ended = await there.finish(query)
        assert ended["outcome"] == "accepted", ended
        assert ended["existing"] == (person.connection is not None)
        person.connection, person.revoked, person.challenged = ended["connection"], False, False

    async def _consented(self, person: Person, auth: Auth, *, named: bool = True) -> dict[str, str]:
        begun = await auth.begin(person.connection if named else None)
        return await self._browsed(begun, person)

    async def _browsed(self, begun: Document, person: Person, answer: Answer = "accept") -> dict[str, str]:
        with as_the_browser():
            query = await give_consent(begun["authorize_url"], person.account.username, answer)
        person.withdrawn = person.withdrawn and answer != "accept"
        return query

    async def _decline(self, person: Person, here: Auth, there: Auth) -> None:
        begun = await here.begin(person.connection)
        ended = await there.finish(await self._browsed(begun, person, "cancel"))
        assert ended["outcome"] == "declined", ended

    async def _take_the_wrong_account(self, person: Person, here: Auth, there: Auth) -> None:
        begun = await here.begin(person.connection)
        [other] = [other for other in self.people if other is not person]
        ended = await there.finish(await self._browsed(begun, other))
        assert ended["outcome"] == "wrong-account", ended

    async def _return_after_redis_was_emptied(self, person: Person, here: Auth, there: Auth) -> None:
        query = await self._consented(person, here)
        await self.readable.redis.flushdb()
        assert (await there.finish(query))["outcome"] == "expired"

    async def _return_while_microsoft_is_away(self, person: Person, here: Auth, there: Auth) -> None:
        query = await self._consented(person, here)
        async with self.control.fault(TokenTrouble(account=person.account.id, shape=self.chance.choice(SHAPES))):
            assert (await there.finish(query))["outcome"] == "microsoft-away"

    async def _return_after_a_restart(self, person: Person, here: Auth, there: Auth) -> None:
        query = await self._consented(person, here)
        ended = await (await self._again(here)).finish(query)
        assert ended["outcome"] == "accepted", ended
        person.revoked = person.challenged = False

    # Tokens

    async def _use(self, person: Person, here: Auth, there: Auth) -> None:
        assert await self._works(person, here) or (await here.stored(str(person.connection)))["state"] in DEAD

    async def _works(self, person: Person, auth: Auth) -> bool:
        """As our services use it. A token that auth hands out is refused by Graph only if it was revoked meanwhile."""
        answer = await auth.token(str(person.connection))
        if answer.status_code == 409:
            return False
        assert answer.status_code == 200, answer.text
        if await self._opens(answer.json()["access_token"]) == 200:
            return True
        assert person.challenged
        async with httpx2.AsyncClient(timeout=LIMIT) as http:
            try:
                await Graph(self.settings.graph_url, http, AccessTokens(auth.http)).mailbox(str(person.connection), "m").calendars()
            except (ReconnectNeeded, AdminConsentNeeded):
                return False
        person.challenged = False
        return True

    async def _opens(self, token: str) -> int:
        async with httpx2.AsyncClient(timeout=LIMIT) as http:
            return (await http.get(f"{self.settings.graph_url}/me", headers={"Authorization": f"Bearer {token}"})).status_code

    async def _refresh(self, person: Person, here: Auth, there: Auth) -> None:
        if old := await self._kept(person, here):
            await self._check_given(person, await there.token(str(person.connection), refused=old), old)

    async def _kept(self, person: Person, auth: Auth) -> str | None:
        """The fingerprint of the token that is kept; none if the connection is dead."""
        answer = await auth.token(str(person.connection))
        assert answer.status_code in (200, 409), answer.text
        return fingerprint(answer.json()["access_token"]) if answer.status_code == 200 else None

    async def _check_given(self, person: Person, answer: httpx2.Response, old: str) -> None:
        """That a refresh gave a new token which works, unless Microsoft refuses."""
        if person.refused:
            assert answer.status_code == 409, answer.text
            return
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]
        assert fingerprint(token) != old
        assert await self._opens(token) == 200 or person.challenged

    async def _refresh_while_microsoft_is_away(self, person: Person, here: Auth, there: Auth) -> None:
        if old := await self._kept(person, here):
            async with self.control.fault(TokenTrouble(account=person.account.id, shape=self.chance.choice(SHAPES))):
                answer = await here.token(str(person.connection), refused=old)
            assert (answer.status_code, answer.json()["title"]) == (503, "microsoft-away")

    async def _refresh_after_a_replica_died(self, person: Person, here: Auth, there: Auth) -> None:
        if old := await self._kept(person, here):
            until = datetime.now(UTC) + timedelta(seconds=0.3)
            await self._set_lease(person, {"$set": {"lease": {"holder": "a replica that died", "until": until}}})
            await self._check_given(person, await there.token(str(person.connection), refused=old), old)

    async def _set_lease(self, person: Person, update: Document) -> None:
        await self.readable.database.connections.update_one({"_id": person.connection}, update)

    # What Microsoft does

    async def _be_challenged(self, person: Person, here: Auth, there: Auth) -> None:
        await self.control.challenge(person.account.id)
        person.challenged = True

    async def _be_revoked(self, person: Person, here: Auth, there: Auth) -> None:
        await self.control.revoke(person.account.id, "password-reset", at_once=self.chance.random() < 0.5)
        person.revoked = person.challenged = True

    async def _withdraw_consent(self, person: Person, here: Auth, there: Auth) -> None:
        with suppress(NotThere):
            await self.control.withdraw_consent(person.account.id, self.settings.microsoft_client_id)
            person.withdrawn = True

    async def _need_approval(self, person: Person, here: Auth, there: Auth) -> None:
        if old := await self._kept(person, here):
            async with self.control.fault(TokenError(account=person.account.id, aadsts=90094, grant="refresh_token")):
                answer = await here.token(str(person.connection), refused=old)
            assert (answer.status_code, answer.json()["title"]) == (409, "needs-admin-consent")

    # While a refresh is under way

    @asynccontextmanager
    async def _refreshing(self, person: Person, auth: Auth) -> AsyncIterator[tuple[str, "asyncio.Task[httpx2.Response]"] | None]:
        """The fingerprint that is refused, and the refresh, held up on its way to Microsoft until the end of the block."""
        old = await self._kept(person, auth)
        if old is None:
            yield None
            return
        auth.wire.arrived.clear()
        release = auth.wire.held = threading.Event()
        asking = asyncio.create_task(auth.token(str(person.connection), refused=old))
        try:
            assert await asyncio.to_thread(auth.wire.arrived.wait, LIMIT)
            yield old, asking
        finally:
            release.set()

    async def _lose_the_lease(self, person: Person, here: Auth, there: Auth) -> None:
        lost: list[Document] = [{"$unset": {"lease": ""}}, {"$set": {"lease.until": datetime.now(UTC)}}]
        async with self._refreshing(person, here) as held:
            if held is None:
                return
            await self._set_lease(person, self.chance.choice(lost))
            taken_over = await there.token(str(person.connection), refused=held[0])
        late = await held[1]
        for answer in (taken_over, late):
            await self._check_given(person, answer, held[0])
        assert taken_over.json().get("access_token") == late.json().get("access_token")

    async def _reconnect_meanwhile(self, person: Person, here: Auth, there: Auth) -> None:
        async with self._refreshing(person, here) as held:
            if held is None:
                return
            await self._sign_in(person, there, there)
            newer = await there.access_token(str(person.connection))
        late = await held[1]
        assert (late.status_code, late.json().get("access_token")) == (200, newer)

    async def _be_revoked_meanwhile(self, person: Person, here: Auth, there: Auth) -> None:
        async with self._refreshing(person, here) as held:
            if held is None:
                return
            await self._be_revoked(person, here, there)
        assert (await held[1]).status_code == 409

    async def _be_revoked_and_reconnect_meanwhile(self, person: Person, here: Auth, there: Auth) -> None:
        async with self._refreshing(person, here) as held:
            if held is None:
                return
            await self._be_revoked(person, here, there)
            await self._sign_in(person, there, there)
        assert (await held[1]).status_code == 200

    async def _remove_meanwhile(self, person: Person, here: Auth, there: Auth) -> None:
        async with self._refreshing(person, here) as held:
            if held is None:
                return
            refused = person.refused
            await self._remove(person, there, there)
        assert (await held[1]).status_code in ((404, 409) if refused else (404, 200))

    async def _rotate_keys_meanwhile(self, person: Person, here: Auth, there: Auth) -> None:
        async with self._refreshing(person, here) as held:
            await self._rotate(there)
        if held:
            await self._check_given(person, await held[1], held[0])
        await self._again(here)

    async def _give_up_meanwhile(self, person: Person, here: Auth, there: Auth) -> None:
        async with self._refreshing(person, here) as held:
            if held is None:
                return
            held[1].cancel()
            with suppress(asyncio.CancelledError):
                await held[1]
        await self._refresh(person, here, there)

    # Removing, restarting, rotating

    async def _remove(self, person: Person, here: Auth, there: Auth) -> None:
        assert (await here.remove(str(person.connection))).status_code == 202
        person.connection = None
        if self.chance.random() < 0.5:
            await self.sweep()

    async def sweep(self) -> None:
        database = self.readable.database
        connections = vaulted(database, *self.kids)
        connections.announcer = Announcer(database.connections, self.messaging, message_of)
        await Forget(connections, database).sweep()

    async def _restart(self, person: Person, here: Auth, there: Auth) -> None:
        await self._again(here)

    async def _rotate_keys(self, person: Person, here: Auth, there: Auth) -> None:
        await self._again(await self._rotate(here))
        await self._again(there)

    async def _rotate(self, auth: Auth) -> Auth:
        """The next key becomes the active one of this replica, and re-wraps all records."""
        self.kids = [*self.kids[1:], self.kids[0]]
        restarted = await self._again(auth)
        done = (await restarted.http.post("/internal/v1/keys/rotate", json={"to": self.kids[0]})).json()
        assert (done["unreadable"], done["after"]) == ([], None), done
        return restarted

    async def _again(self, auth: Auth) -> Auth:
        place = [replica.auth for replica in self.replicas].index(auth)
        await self.replicas[place].stack.aclose()
        self.replicas[place] = await self._start()
        return self.replicas[place].auth

    async def _start(self) -> Replica:
        stack, settings = AsyncExitStack(), self.settings.model_copy(update={"token_keys": token_keys(*self.kids)})
        started = running(settings, self.readable.database, self.redis_url, self.organization, self.messaging)
        auth = await stack.enter_async_context(started)
        await auth.ready()
        self.ledger.listen(auth)
        self.readable.listen(auth)
        return Replica(stack, auth)


STEPS = [
    *("connect", "decline", "take_the_wrong_account"),
    *("return_after_redis_was_emptied", "return_while_microsoft_is_away", "return_after_a_restart"),
    *("use", "use", "refresh", "refresh", "refresh_while_microsoft_is_away", "refresh_after_a_replica_died"),
    *("be_challenged", "be_revoked", "withdraw_consent", "need_approval"),
    *("lose_the_lease", "lose_the_lease", "reconnect_meanwhile", "be_revoked_meanwhile", "be_revoked_and_reconnect_meanwhile"),
    *("remove_meanwhile", "rotate_keys_meanwhile", "give_up_meanwhile"),
    *("remove", "restart", "rotate_keys"),
]
