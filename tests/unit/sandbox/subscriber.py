"""An app that subscribes to one account's default calendar and takes notifications at a real address: for tests of what
subscriptions bring."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2

from outlook_sandbox.database import Database
from outlook_sandbox.delivery.endpoints import EndpointShown, Patience
from outlook_sandbox.graph.subscriptions import Subscription
from tests.serving import until
from tests.unit.sandbox.graph_client import Endpoint, Graph, Json, endpoint, sandbox_graph

LIVELY = Patience(first=0.3, later=0.6, handshake=0.3)
"""For tests that wait for the sandbox to lose its patience."""


@dataclass
class Subscriber:
    graph: Graph
    there: Endpoint

    def wanted(self, minutes: float = 600, **more: object) -> Json:
        ends = self.graph.sandbox.clock.now() + timedelta(minutes=minutes)
        return {
            "changeType": "created,updated,deleted",
            "notificationUrl": self.there.url,
            "resource": f"/me/calendars/{self.graph.calendar}/events",
            "expirationDateTime": ends.isoformat(),
            "clientState": "secret",
        } | more

    async def ask(self, headers: dict[str, str] | None = None, token: str = "", **more: Any) -> httpx2.Response:
        return await self.graph.ask("POST", "/subscriptions", self.wanted(**more), headers=headers, token=token)

    async def subscribe(self, **more: Any) -> Json:
        answer = await self.ask(**more)
        assert answer.status_code == 201, answer.text
        made: Json = answer.json()
        return made

    async def refused(self, **more: Any) -> tuple[int, str, str]:
        """Status, code and message of a create that is not carried out."""
        answer = await self.ask(**more)
        error = answer.json()["error"]
        return answer.status_code, error["code"], error["message"]

    def of(self, made: Json) -> Subscription:
        found = self.graph.sandbox.subscriptions.get(made["id"])
        assert found
        return found

    async def fault(self, kind: str, **settings: object) -> None:
        answer = await self.graph.client.post("/sandbox/v1/faults", json={"kind": kind} | settings)
        assert answer.status_code == 201, answer.text

    async def advance(self, *, fresh_token: bool = True, **time: float) -> None:
        """Move all time forward; the app's own token is then a new one."""
        seconds = timedelta(**time).total_seconds()
        assert (await self.graph.client.post("/sandbox/v1/clock/advance", json={"seconds": seconds})).status_code == 200
        if fresh_token:
            self.graph.token = self.graph.token_for("Calendars.ReadWrite")

    async def told(self, posts: int) -> None:
        """Wait until so many posts to the address without a query were made and their answers noted."""
        await until(lambda: any(each.address == self.there.url for each in self.graph.sandbox.delivery.states()))
        await until(lambda: self.shown().posts >= posts)

    def shown(self) -> EndpointShown:
        """The address without a query."""
        [shown] = [each for each in self.graph.sandbox.delivery.states() if each.address == self.there.url]
        return shown

    def lifecycle(self) -> list[str]:
        return [entry["lifecycleEvent"] for entry in self.there.notifications if "lifecycleEvent" in entry]


@contextlib.asynccontextmanager
async def subscriber(database: Database | None = None) -> AsyncIterator[Subscriber]:
    async with endpoint() as there, sandbox_graph(database=database) as graph:
        yield Subscriber(graph, there)
