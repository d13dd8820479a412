"""Change notifications on their way: gathered for a moment per address, posted, tried again for four hours."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC
from typing import Any

import httpx2
import msgspec

from outlook_sandbox.graph.mailbox import Change
from outlook_sandbox.graph.subscriptions import Subscription, Subscriptions

GATHER_SECONDS = 0.01
MOST_PER_POST = 1000
FIRST_TIMEOUT = 3.0
LATER_TIMEOUT = 10.0
FIRST_WAIT = 1.0
LONGEST_WAIT = 600.0
GIVE_UP_AFTER = 4 * 3600.0

Notification = dict[str, Any]


class Delivery:
    """`tell` is called by mailboxes and returns at once; posts happen in tasks of their own."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self._subscriptions = subscriptions
        self._waiting: dict[str, list[Notification]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: httpx2.AsyncClient | None = None

    @property
    def client(self) -> httpx2.AsyncClient:
        """Used for handshakes too. Redirects are not followed: Graph doesn't."""
        if self._client is None:
            limits = httpx2.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=60)
            self._client = httpx2.AsyncClient(limits=limits, trust_env=False)
        return self._client

    def tell(self, change: Change) -> None:
        """Queue the notifications that a change causes."""
        for subscription in self._subscriptions.wanting(change):
            self.send(subscription.notification_url, notification(subscription, change))

    def send(self, address: str, told: Notification) -> None:
        waiting = self._waiting.get(address)
        if waiting is not None:
            waiting.append(told)
            return
        self._waiting[address] = [told]
        self._start(self._gather(address))

    async def stop(self) -> None:
        """Give up what is on its way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _gather(self, address: str) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        waiting = self._waiting.pop(address)
        for start in range(0, len(waiting), MOST_PER_POST):
            self._start(self._deliver(address, waiting[start : start + MOST_PER_POST]))

    async def _deliver(self, address: str, batch: list[Notification]) -> None:
        """Post until a 2xx comes in time; one status counts for the whole batch."""
        body = msgspec.json.encode({"value": batch})
        loop = asyncio.get_running_loop()
        deadline = loop.time() + GIVE_UP_AFTER
        patience, wait = FIRST_TIMEOUT, FIRST_WAIT
        while not await self._post(address, body, patience):
            if loop.time() + wait > deadline:
                return
            await asyncio.sleep(wait)
            patience, wait = LATER_TIMEOUT, min(wait * 2, LONGEST_WAIT)

    async def _post(self, address: str, body: bytes, patience: float) -> bool:
        try:
            async with asyncio.timeout(patience):
                answer = await self.client.post(
                    address, content=body, headers={"Content-Type": "application/json"}, timeout=patience
                )
        except (TimeoutError, httpx2.HTTPError):
            return False
        return answer.is_success


def notification(subscription: Subscription, change: Change) -> Notification:
    """Outlook's basic notification: mixed case, the user by id, and not a word about the calendar."""
    identifier = change.id if subscription.immutable_ids else change.ordinary_id
    resource = f"Users/{change.account}/Events/{identifier}"
    expires = subscription.expires.astimezone(UTC)
    return {
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": f"{expires:%Y-%m-%dT%H:%M:%S.%f}0+00:00",
        "changeType": change.type,
        "resource": resource,
        "resourceData": {
            "@odata.type": "#Microsoft.Graph.Event",
            "@odata.id": resource,
            "@odata.etag": change.etag,
            "id": identifier,
        },
        "clientState": subscription.client_state,
        "tenantId": subscription.tenant,
    }
