"""Lifecycle notifications: what Graph tells an app of its subscription itself, on its own or when asked to.

`reauthorizationRequired` comes when the attached token or the subscription ends within a quarter of an hour, and again
every quarter while nothing happens: the last step of the rule that Microsoft gives as an illustration.
"""

import asyncio
import contextlib
import heapq
from collections.abc import Iterable
from datetime import datetime, timedelta

from outlook_sandbox.clock import Clock
from outlook_sandbox.delivery.delivery import Delivery
from outlook_sandbox.delivery.notifications import LifecycleEvent, lifecycle_body
from outlook_sandbox.faults import Faults, LifecycleSilence
from outlook_sandbox.graph.subscriptions import Subscription, Subscriptions

QUARTER = timedelta(minutes=15)


class Lifecycle:
    """Watches every subscription that has an address for it; sleeps until the next one is due."""

    def __init__(self, subscriptions: Subscriptions, delivery: Delivery, clock: Clock, faults: Faults) -> None:
        self._subscriptions = subscriptions
        self._delivery = delivery
        self._clock = clock
        self._faults = faults
        self._due: dict[str, datetime] = {}
        self._queue: list[tuple[datetime, str]] = []
        self._task: asyncio.Task[None] | None = None
        self._started = False
        delivery.missed = self.missed

    def send(self, subscription: Subscription, *events: LifecycleEvent) -> None:
        """Tell of these events, in one post; nothing happens without a `lifecycleNotificationUrl`."""
        if subscription.lifecycle_url is None:
            return
        if self._faults and self._faults.strike(LifecycleSilence, account=subscription.account):
            return
        for event in events:
            body, last = lifecycle_body(subscription, event), event == "subscriptionRemoved"
            self._delivery.send(subscription.lifecycle_url, subscription, body, lifecycle=True, lasting=last)

    def missed(self, subscriptions: Iterable[str]) -> None:
        """Notifications of these (ids) were lost."""
        for identifier in subscriptions:
            if subscription := self._subscriptions.get(identifier):
                self.send(subscription, "missed")

    def revoked(self, account: str, *, silently: bool = False) -> None:
        """The account's grant, password or access is gone, and so are its subscriptions; of a change of password Graph is
        reported to say nothing."""
        for subscription in self._subscriptions.of_account(account):
            self._subscriptions.remove(subscription)
            if not silently:
                self.send(subscription, "subscriptionRemoved")

    def watch(self, subscription: Subscription) -> None:
        """A subscription is new, or was renewed or reauthorized."""
        self.start()
        if self._note(subscription):
            self._wake()

    def start(self) -> None:
        """Watch those that the database remembers."""
        if not self._started:
            self._started = True
            for subscription in self._subscriptions.all():
                self._note(subscription)
            self._wake()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def time_went_back(self, _: datetime) -> None:
        """Say anew when each subscription is due."""
        self.clear()
        self._started = False
        self.start()

    def clear(self) -> None:
        self._due.clear()
        self._queue.clear()

    def _note(self, subscription: Subscription) -> bool:
        """Remember when it is due; whether that is before all others."""
        if subscription.lifecycle_url is None:
            return False
        end = min(subscription.attached_until, subscription.expires)
        due = max(end - QUARTER, subscription.challenged + QUARTER)
        self._due[subscription.id] = due
        heapq.heappush(self._queue, (due, subscription.id))
        return self._queue[0] == (due, subscription.id)

    def _wake(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while self._queue:
            due, identifier = self._queue[0]
            left = (due - self._clock.now()).total_seconds()
            if left > 0:
                await self._clock.sleep(left)
                continue
            heapq.heappop(self._queue)
            if self._due.get(identifier) == due:
                self._challenge(identifier)

    def _challenge(self, identifier: str) -> None:
        subscription = self._subscriptions.get(identifier)
        if subscription is None:
            del self._due[identifier]
            return
        subscription.challenged = self._clock.now()
        self._subscriptions.store(subscription)
        self._note(subscription)
        self.send(subscription, "reauthorizationRequired")
