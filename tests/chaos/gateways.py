"""Two gateways at one address, and a sandbox that posts to them: every notification is asked after by its own name."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
from pydantic import SecretStr

from attendara_local.crew import Crew
from attendara_local.ports import Ports
from attendara_local.ready import http_ready
from attendara_local.stack import Stack
from common.client_state import ClientStates
from common.ids import new_id
from common.messages import NotificationReceived
from outlook_sandbox.client import SandboxControl
from tests.chaos.proxy import proxied
from tests.chaos.system import LIMIT, own_environment
from tests.kafka_reading import reading
from tests.outlook import Outlook, new_outlook
from tests.servers import Servers
from tests.serving import until

GATEWAYS = ("webhook-gateway", "webhook-gateway-2")
AT_ONCE = 4
"""Requests for one mailbox that Graph takes at one time."""
BEFORE, MEANWHILE, AFTER = 20, 100, 20
"""Calendars that change while the broker is there, away, and there again."""
PACE = 0.08
"""Seconds from one change to the next."""
AHEAD = 30
"""Seconds by which the sandbox's clock is moved for those that wait for their next try: Graph gives up after four hours."""


@dataclass
class Gateways:
    """`address`: of both; `environment`: theirs."""

    crew: Crew
    sandbox: SandboxControl
    sandbox_url: str
    address: str
    environment: Mapping[str, str]

    @property
    def client_states(self) -> ClientStates:
        return ClientStates([SecretStr(self.environment["CLIENT_STATE_KEYS"])])

    async def refuse(self) -> None:
        """Until a genuine post is answered with 503, and notifications wait for their next try."""
        entry = {"subscriptionId": "ours", "clientState": self.client_states.sign(new_id("cal"))}
        async with httpx2.AsyncClient(timeout=20) as client:

            async def refused() -> bool:
                answer = await client.post(self.address, json={"value": [entry]})
                return answer.status_code == 503 and "retry-after" in answer.headers and await self._waiting() > 0

            await until(refused, LIMIT)

    async def published(self, calendars: set[str]) -> None:
        """Until nothing waits in the sandbox, and each of these calendars has a message; fails with those that don't."""
        async with asyncio.timeout(LIMIT):
            while await self._waiting():
                await self.sandbox.advance(seconds=AHEAD)
                await asyncio.sleep(1)
        missing = set(calendars)
        async with reading(Servers(dict(self.environment)).kafka, NotificationReceived) as topic:
            try:
                while missing:
                    new = await topic.of(lambda message: message.calendar in missing)
                    missing.difference_update(message.calendar for message in new)
            except AssertionError:
                raise AssertionError(f"notifications of these calendars were lost: {missing}") from None

    async def _waiting(self) -> int:
        return sum(endpoint.waiting for endpoint in await self.sandbox.deliveries() if endpoint.address == self.address)


@dataclass
class Practice:
    """An account with many calendars, each subscribed to under an id of its own and changed once: what is lost has a name."""

    outlook: Outlook
    unchanged: dict[str, str]
    changed: set[str] = field(default_factory=set)

    async def change(self, count: int, pace: float) -> None:
        """So many of the calendars, `pace` seconds apart, or slower where Graph takes it more slowly."""
        at_once = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                await at_once.acquire()
                group.create_task(self._change(*self.unchanged.popitem())).add_done_callback(lambda _: at_once.release())
                await asyncio.sleep(pace)

    async def _change(self, ours: str, calendar: str) -> None:
        self.changed.add(ours)
        await replace(self.outlook, calendar=calendar).create("Massage", datetime.now(UTC) + timedelta(days=1))


@asynccontextmanager
async def practice(gateways: Gateways, calendars: int) -> AsyncIterator[Practice]:
    client_states, expires = gateways.client_states, f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"
    async with new_outlook(gateways.sandbox_url, f"{secrets.token_hex(4)}@ting.example") as outlook:
        unchanged = {}
        for number in range(calendars):
            ours = new_id("cal")
            calendar = (await gateways.sandbox.create_calendar(outlook.username, f"Room {number}")).id
            subscription = {
                "changeType": "created,updated,deleted",
                "notificationUrl": gateways.address,
                "resource": f"/me/calendars/{calendar}/events",
                "expirationDateTime": expires,
                "clientState": client_states.sign(ours),
            }
            answer = await outlook.http.post("/v1.0/subscriptions", json=subscription)
            assert answer.status_code == 201, answer.text
            unchanged[ours] = calendar
        yield Practice(outlook, unchanged)


async def lose_nothing_without_a_broker(gateways: Gateways, away: AbstractAsyncContextManager[object]) -> None:
    """Changes are steady; the broker is away as long as `away` is entered."""
    async with practice(gateways, BEFORE + MEANWHILE + AFTER) as people:
        await people.change(BEFORE, PACE)
        async with away:
            await people.change(MEANWHILE, PACE)
            await gateways.refuse()
        await people.change(AFTER, PACE)
        await gateways.published(people.changed)


@asynccontextmanager
async def running_gateways(folder: Path, kafka: Mapping[str, str]) -> AsyncIterator[Gateways]:
    """Beside a broker, which services use with the settings `kafka`."""
    second, front = Ports.free().webhook_gateway, Ports.free().webhook_gateway
    # No event is written a second time by Exchange: that notification could hide that the first one was lost.
    stack = Stack(Ports.free(), folder, own_environment() | dict(kafka) | {"SANDBOX_SETTLE_SECONDS": "0"})
    async with AsyncExitStack() as leaving:
        leaving.push_async_callback(asyncio.to_thread, stack.stop)
        await asyncio.to_thread(stack.command, "topics")
        await asyncio.to_thread(stack.services.start, stack.sandbox_recipes())
        one = next(recipe for recipe in stack.service_recipes() if recipe.name == GATEWAYS[0])
        environment = dict(one.environment) | {"WEBHOOK_GATEWAY_PORT": str(second)}
        other = replace(one, name=GATEWAYS[1], environment=environment, wants=http_ready(second))
        await asyncio.to_thread(stack.services.start, [one, other])
        await leaving.enter_async_context(proxied(front, stack.ports.webhook_gateway, second))
        sandbox = await leaving.enter_async_context(SandboxControl(stack.sandbox_url))
        address = f"http://localhost:{front}/graph/notifications"
        yield Gateways(stack.services, sandbox, stack.sandbox_url, address, one.environment)
