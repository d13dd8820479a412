"""Subscriptions: who wants to be told of which calendar's changes, and until when."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from outlook_sandbox.database import Database
from outlook_sandbox.graph.errors import GraphError
from outlook_sandbox.graph.mailbox import Change
from outlook_sandbox.graph.render import timestamp

if TYPE_CHECKING:
    from outlook_sandbox.clock import Clock

SHORTEST = timedelta(minutes=45)
LONGEST = timedelta(minutes=10_070)
MOST_PER_MAILBOX = 1000


class Subscription(msgspec.Struct, kw_only=True):
    """`calendar` is None for a whole mailbox. `resource` is as the client wrote it."""

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

    @property
    def change_types(self) -> frozenset[str]:
        return frozenset(part.strip() for part in self.change_type.split(","))

    def wants(self, change: Change) -> bool:
        return self.calendar in (None, change.calendar) and change.type in self.change_types


class Subscriptions:
    """All of them, by id and by account. Those past their time are gone without a word."""

    def __init__(self, database: Database, clock: "Clock") -> None:
        self._database = database
        self._clock = clock
        self._all: dict[str, Subscription] = {}
        self._by_account: dict[str, dict[str, Subscription]] = {}
        for document in database.load("subscription").values():
            self._know(msgspec.convert(document, Subscription))

    def all(self) -> list[Subscription]:
        return [subscription for account in list(self._by_account) for subscription in self.of_account(account)]

    def of_account(self, account: str) -> list[Subscription]:
        now = self._clock.now()
        for subscription in list(self._by_account.get(account, {}).values()):
            if subscription.expires <= now:
                self.remove(subscription)
        return list(self._by_account.get(account, {}).values())

    def find(self, identifier: str, app: str, account: str) -> Subscription | None:
        found = self._all.get(identifier)
        if found is None or (found.app, found.account) != (app, account):
            return None
        return found if found in self.of_account(account) else None

    def wanting(self, change: Change) -> Iterator[Subscription]:
        return (subscription for subscription in self.of_account(change.account) if subscription.wants(change))

    def refuse_duplicate(self, app: str, account: str, resource: str, change_types: frozenset[str]) -> None:
        """Raise GraphError 409 for a combination that exists, 403 for one too many."""
        others = self.of_account(account)
        for other in others:
            same = (other.app, same_resource(other.resource)) == (app, same_resource(resource))
            if same and other.change_types == change_types:
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
        self._database.put("subscription", subscription.id, subscription)

    def remove(self, subscription: Subscription) -> None:
        del self._all[subscription.id], self._by_account[subscription.account][subscription.id]
        self._database.delete("subscription", subscription.id)

    def clear(self) -> None:
        self._all.clear()
        self._by_account.clear()
        self._database.clear("subscription")

    def _know(self, subscription: Subscription) -> None:
        self._all[subscription.id] = subscription
        self._by_account.setdefault(subscription.account, {})[subscription.id] = subscription


def same_resource(resource: str) -> str:
    return resource.strip("/").casefold() if "/calendars/" not in resource else resource.strip("/")


def new_id() -> str:
    return str(uuid.uuid4())


def expiry(sent: object, now: datetime, operation: str) -> datetime:
    """The end that Graph gives: raised to 45 minutes, refused beyond 10,070. Raises GraphError 400."""
    try:
        wished = datetime.fromisoformat(sent) if isinstance(sent, str) else None
    except ValueError:
        wished = None
    if wished is None:
        raise GraphError(400, "InvalidRequest", "The property 'expirationDateTime' must be a date and time in ISO 8601.")
    wished = wished if wished.tzinfo else wished.replace(tzinfo=UTC)
    if wished <= now:
        raise GraphError(400, "InvalidRequest", "Subscription expiration must be in the future.")
    if wished > now + LONGEST:
        reason = "Subscription expiration can only be 10070 minutes in the future."
        raise GraphError(400, "ExtensionError", f"Operation: {operation}; Exception: [Status Code: BadRequest; Reason: {reason}]")
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
        "includeResourceData": None,
        "latestSupportedTlsVersion": subscription.tls,
        "encryptionCertificate": None,
        "encryptionCertificateId": None,
        "notificationUrlAppId": None,
        "notificationContentType": None,
    }
