"""Change notifications on their way: gathered for a moment per address, posted, tried again for four hours.

What waits is kept in the database too, so that a restart of the sandbox loses nothing.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta

import httpx2
import msgspec

from outlook_sandbox.clock import Clock
from outlook_sandbox.database import Database
from outlook_sandbox.delivery.endpoints import Endpoint, EndpointShown, Patience
from outlook_sandbox.delivery.notifications import Body, Notification, change_body
from outlook_sandbox.delivery.posting import make_client, post
from outlook_sandbox.faults import DeliveryDisorder, DeliveryDuplicates, DeliveryHold, DeliverySilence, Faults
from outlook_sandbox.graph.mailbox import Change
from outlook_sandbox.graph.resource_data import ResourceData
from outlook_sandbox.graph.subscriptions import Subscription, Subscriptions

KIND = "notification"
GATHER_SECONDS = 0.01
MOST_PER_POST = 1000
MOST_WAITING = 100_000
MOST_ENDPOINTS = 1000
FIRST_WAIT = 1.0
LONGEST_WAIT = 600.0
GIVE_UP_AFTER = timedelta(hours=4)


class Delivery:
    """`tell` is called by mailboxes and returns at once; posts happen in tasks of their own.

    `missed` is called with the ids of subscriptions of which notifications were lost, once their address answers again.
    """

    def __init__(
        self, subscriptions: Subscriptions, clock: Clock, faults: Faults, database: Database, resource_data: ResourceData
    ) -> None:
        self.patience = Patience()
        self.missed: Callable[[Iterable[str]], None] = lambda _: None
        self._subscriptions = subscriptions
        self._clock = clock
        self._faults = faults
        self._database = database
        self._resource_data = resource_data
        self._waiting: dict[str, Notification] = {}
        self._gathering: dict[tuple[str, bool], list[Notification]] = {}
        self._held: dict[str, list[Notification]] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._recalled = [msgspec.convert(document, Notification) for document in database.load(KIND).values()]
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: httpx2.AsyncClient | None = None

    @property
    def client(self) -> httpx2.AsyncClient:
        """Used for handshakes too."""
        if self._client is None:
            self._client = make_client()
        return self._client

    def tell(self, change: Change) -> None:
        """Queue the notifications that a change causes."""
        for subscription in self._subscriptions.wanting(change):
            if self._faults and self._faults.strike(DeliverySilence, account=subscription.account):
                continue
            body = change_body(subscription, change)
            if subscription.include_resource_data and (content := self._resource_data.encrypted(subscription, change)):
                body["encryptedContent"] = content
            self.send(subscription.notification_url, subscription, body)

    def send(self, address: str, subscription: Subscription, body: Body, *, lifecycle: bool = False, lasting: bool = False) -> None:
        """Queue one notification; it is lost if the address is in its drop state, or if too many wait."""
        self.start()
        endpoint, now = self._endpoint(address), self._clock.now()
        if endpoint.state(now) == "drop" or len(self._waiting) >= MOST_WAITING:
            if not lifecycle:
                endpoint.lost.add(subscription.id)
            return

        def another() -> Notification:
            ids = {"id": str(uuid.uuid4()), "address": address, "subscription": subscription.id}
            return self._keep(Notification(**ids, body=body, due=now, lifecycle=lifecycle, lasting=lasting))

        account = subscription.account
        disorder = self._faults.strike(DeliveryDisorder, account=account) if self._faults else None
        duplicates = self._faults.strike(DeliveryDuplicates, account=account) if self._faults else None
        if disorder:
            self._start(self._deliver([another()], self._faults.chance(disorder).uniform(0, disorder.seconds)))
        else:
            self._gather(another())
        for _ in range(duplicates.copies if duplicates else 0):
            self._start(self._deliver([another()]))

    def renewed(self, subscription: str) -> None:
        """Let go of what was held until the subscription's token is fresh."""
        for notification in self._held.pop(subscription, []):
            self._gather(notification)

    def states(self) -> list[EndpointShown]:
        """Every address that was posted to lately or has something waiting."""
        now = self._clock.now()
        waiting = Counter(notification.address for notification in self._waiting.values())
        held = Counter(notification.address for group in self._held.values() for notification in group)
        return [endpoint.shown(now, waiting[name], held[name]) for name, endpoint in sorted(self._endpoints.items())]

    def start(self) -> None:
        """Take up what waited when the sandbox last stopped."""
        recalled, self._recalled = self._recalled, []
        for notification in recalled:
            self._waiting[notification.id] = notification
            self._gather(notification)

    async def stop(self) -> None:
        """Leave what is on its way to the next start."""
        tasks = list(self._tasks)
        self._cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def clear(self) -> None:
        """Forget everything that waits, and how addresses answered."""
        self._cancel()
        for store in (self._waiting, self._gathering, self._held, self._endpoints, self._recalled):
            store.clear()
        self._database.clear(KIND)

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _endpoint(self, address: str) -> Endpoint:
        endpoint = self._endpoints.get(address)
        if endpoint is None:
            if len(self._endpoints) >= MOST_ENDPOINTS:
                self._forget_endpoints()
            endpoint = self._endpoints[address] = Endpoint(address, self.patience)
        return endpoint

    def _forget_endpoints(self) -> None:
        now, waiting = self._clock.now(), {notification.address for notification in self._waiting.values()}
        for name, endpoint in list(self._endpoints.items()):
            if name not in waiting and endpoint.forgettable(now):
                del self._endpoints[name]

    def _keep(self, notification: Notification) -> Notification:
        self._waiting[notification.id] = notification
        self._database.put(KIND, notification.id, notification)
        return notification

    def _finish(self, notifications: Iterable[Notification]) -> None:
        for notification in notifications:
            self._waiting.pop(notification.id, None)
            self._database.delete(KIND, notification.id)

    def _gather(self, notification: Notification) -> None:
        key = (notification.address, notification.lifecycle)
        gathering = self._gathering.get(key)
        if gathering is not None:
            gathering.append(notification)
            return
        self._gathering[key] = [notification]
        self._start(self._deliver_gathered(key))

    async def _deliver_gathered(self, key: tuple[str, bool]) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        gathered = self._gathering.pop(key)
        for start in range(0, len(gathered), MOST_PER_POST):
            self._start(self._deliver(gathered[start : start + MOST_PER_POST]))

    async def _deliver(self, batch: list[Notification], delay: float = 0.0) -> None:
        """Post until a 2xx comes in time; one status counts for the whole batch."""
        endpoint = self._endpoint(batch[0].address)
        patience, wait = self.patience.first, FIRST_WAIT
        if delay := max(delay, endpoint.delay(self._clock.now())):
            await self._clock.sleep(delay)
            for notification in batch:
                notification.due = self._clock.now()
        while True:
            while closed := endpoint.opens(self._clock.now()):
                await self._clock.sleep(closed)
            batch = [notification for notification in batch if self._may_go(notification, endpoint)]
            if not batch:
                return
            if await self._post(endpoint, batch, patience):
                self._finish(batch)
                self._say_what_was_missed(endpoint)
                return
            await self._clock.sleep(wait)
            patience, wait = self.patience.later, min(wait * 2, LONGEST_WAIT)

    def _may_go(self, notification: Notification, endpoint: Endpoint) -> bool:
        """Not if its subscription is gone, nor after four hours, nor while it is held."""
        subscription = self._subscriptions.get(notification.subscription)
        if subscription is None and not notification.lasting:
            self._finish([notification])
            return False
        if self._clock.now() - notification.due > GIVE_UP_AFTER:
            self._finish([notification])
            if not notification.lifecycle:
                endpoint.lost.add(notification.subscription)
            return False
        if subscription and not notification.lifecycle and self._holds(subscription):
            self._hold(notification)
            return False
        return True

    def _holds(self, subscription: Subscription) -> bool:
        stale = bool(self._faults) and subscription.attached_until <= self._clock.now()
        return stale and self._faults.strike(DeliveryHold, account=subscription.account) is not None

    def _hold(self, notification: Notification) -> None:
        held = self._held.get(notification.subscription)
        if held is None:
            held = self._held[notification.subscription] = []
            self._start(self._let_go(notification.subscription))
        held.append(notification)

    async def _let_go(self, subscription: str) -> None:
        await self._clock.sleep(GIVE_UP_AFTER.total_seconds())
        self.renewed(subscription)

    def _say_what_was_missed(self, endpoint: Endpoint) -> None:
        if endpoint.lost and endpoint.state(self._clock.now()) == "normal":
            lost, endpoint.lost = endpoint.lost, set()
            self.missed(lost)

    async def _post(self, endpoint: Endpoint, batch: list[Notification], patience: float) -> bool:
        """Whether a 2xx came in time. That nobody answered at all is no response, and not counted as one."""
        content: Body = {"value": [notification.body for notification in batch]}
        if tokens := self._validation_tokens(batch):
            content["validationTokens"] = tokens
        loop = asyncio.get_running_loop()
        async with endpoint.slots:
            began = loop.time()
            try:
                answer = await post(self.client, endpoint.address, msgspec.json.encode(content), "application/json", patience)
            except TimeoutError:
                answer = None
            except (httpx2.HTTPError, httpx2.InvalidURL):
                return False
            finally:
                endpoint.posts += 1
            endpoint.note(self._clock.now(), max(loop.time() - began, 0 if answer else patience))
        return answer is not None and 200 <= answer.status < 300

    def _validation_tokens(self, batch: list[Notification]) -> list[str]:
        found = (self._subscriptions.get(notification.subscription) for notification in batch)
        return self._resource_data.validation_tokens(each for each in found if each and each.include_resource_data)
