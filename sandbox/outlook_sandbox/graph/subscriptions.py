"""Subscriptions: who wants to be told of which calendar's changes, and until when."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from outlook_sandbox.database import Database
from outlook_sandbox.graph.errors import GraphError, invalid_request
from outlook_sandbox.graph.mailbox import Change
from outlook_sandbox.graph.render import timestamp
from outlook_sandbox.graph.resources import read_resource

if TYPE_CHECKING:
    from outlook_sandbox.clock import Clock

KIND = "subscription"
SHORTEST = timedelta(minutes=45)
LONGEST = timedelta(minutes=10_070)
LONGEST_WITH_DATA = timedelta(minutes=1440)
MOST_PER_MAILBOX = 1000
LONG_AGO = datetime.fromtimestamp(0, UTC)


class Subscription(msgspec.Struct, kw_only=True, dict=True):
    """`calendar` is None for a whole mailbox; `resource` is as the client wrote it. `attached_until` is when the access
    token ends with which it was last created, updated or reauthorized; `challenged` is when that was last asked for."""

    id: str
    app: str
    account: str
    tenant: str
    resource: str
    calendar: str | None
    change_type: str
    notification_url: str
    lifecycle_url: str | None
    client_state: str | None
    tls: str
    immutable_ids: bool
    expires: datetime
    attached_until: datetime = LONG_AGO
    challenged: datetime = LONG_AGO
    include_resource_data: bool | None = None
    certificate: str | None = None
    certificate_id: str | None = None

    @cached_property
    def change_types(self) -> frozenset[str]:
        return frozenset(part.strip() for part in self.change_type.split(","))

    def wants(self, change: Change) -> bool:
        return self.calendar in (None, change.calendar) and change.type in self.change_types

    def repeats(self, other: "Subscription") -> bool:
        """Whether Graph takes both for the same: an app's, for the same resource and the same types of change."""
        same = (self.app, self.change_types, read_resource(self.resource))
        return same == (other.app, other.change_types, read_resource(other.resource))


class Subscriptions:
    """All of them, by id and by account. Those past their time are gone without a word."""

    def __init__(self, database: Database, clock: "Clock") -> None:
        self._database = database
        self._clock = clock
        self._all: dict[str, Subscription] = {}
        self._by_account: dict[str, dict[str, Subscription]] = {}
        for document in database.load(KIND).values():
            self._know(msgspec.convert(document, Subscription))

    def all(self) -> list[Subscription]:
        return [subscription for account in list(self._by_account) for subscription in self.of_account(account)]

    def of_account(self, account: str) -> list[Subscription]:
        return [found for identifier in list(self._by_account.get(account, ())) if (found := self.get(identifier))]

    def get(self, identifier: str) -> Subscription | None:
        found = self._all.get(identifier)
        if found is not None and found.expires <= self._clock.now():
            self.remove(found)
            return None
        return found

    def find(self, identifier: str, app: str, account: str) -> Subscription | None:
        """The subscription, if it is this app's of this account."""
        found = self.get(identifier)
        return found if found and (found.app, found.account) == (app, account) else None

    def wanting(self, change: Change) -> Iterator[Subscription]:
        return (subscription for subscription in self.of_account(change.account) if subscription.wants(change))

    def refuse(self, wanted: Subscription) -> None:
        """Raise GraphError 409 for a combination that exists, 403 for one too many."""
        others = self.of_account(wanted.account)
        for other in others:
            if other.repeats(wanted):
                raise GraphError(
                    409,
                    "ObjectIdentifierInUse",
                    f"Subscription Id {other.id} already exists for the requested combination",
                )
        if len(others) >= MOST_PER_MAILBOX:
            raise GraphError(403, "Forbidden", f"The limit of {MOST_PER_MAILBOX} subscriptions for this mailbox has been reached.")

    def add(self, subscription: Subscription) -> Subscription:
        self._know(subscription)
        self.store(subscription)
        return subscription

    def store(self, subscription: Subscription) -> None:
        self._database.put(KIND, subscription.id, subscription)

    def remove(self, subscription: Subscription) -> None:
        del self._all[subscription.id], self._by_account[subscription.account][subscription.id]
        self._database.delete(KIND, subscription.id)

    def time_went_back(self, before: datetime) -> None:
        """Those that had ended by the time that it was before stay gone; none was challenged later than now."""
        for subscription in list(self._all.values()):
            if subscription.expires <= before:
                self.remove(subscription)
            else:
                subscription.challenged = min(subscription.challenged, self._clock.now())
                self.store(subscription)

    def clear(self) -> None:
        self._all.clear()
        self._by_account.clear()
        self._database.clear(KIND)

    def _know(self, subscription: Subscription) -> None:
        self._all[subscription.id] = subscription
        self._by_account.setdefault(subscription.account, {})[subscription.id] = subscription


def new_id() -> str:
    return str(uuid.uuid4())


def read_expiry(sent: object, now: datetime) -> datetime:
    """The end that is wished, raised to Graph's 45 minutes. Raises GraphError 400 for one that is past or no time."""
    try:
        wished = datetime.fromisoformat(sent) if isinstance(sent, str) else None
    except ValueError:
        wished = None
    if wished is None:
        raise invalid_request("The property 'expirationDateTime' must be a date and time in ISO 8601.")
    wished = wished if wished.tzinfo else wished.replace(tzinfo=UTC)
    if wished <= now:
        raise invalid_request("Subscription expiration must be in the future.")
    return max(wished, now + SHORTEST)


def subscription_json(subscription: Subscription, *, with_state: bool) -> dict[str, Any]:
    """Only the answer to a create or an update shows the client state."""
    return {
        "id": subscription.id,
        "resource": subscription.resource,
        "applicationId": subscription.app,
        "changeType": subscription.change_type,
        "clientState": subscription.client_state if with_state else None,
        "notificationUrl": subscription.notification_url,
        "notificationQueryOptions": None,
        "lifecycleNotificationUrl": subscription.lifecycle_url,
        "expirationDateTime": timestamp(subscription.expires),
        "creatorId": subscription.account,
        "includeResourceData": subscription.include_resource_data,
        "latestSupportedTlsVersion": subscription.tls,
        "encryptionCertificate": subscription.certificate,
        "encryptionCertificateId": subscription.certificate_id,
        "notificationUrlAppId": None,
        "notificationContentType": None,
    }
