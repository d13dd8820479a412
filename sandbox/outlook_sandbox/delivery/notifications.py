"""What notifications say: of a change, and of a subscription's own life."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

import msgspec

from outlook_sandbox.graph.mailbox import Change
from outlook_sandbox.graph.subscriptions import Subscription

LifecycleEvent = Literal["reauthorizationRequired", "subscriptionRemoved", "missed"]
Body = dict[str, Any]
OFFSETS = (UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-7)))


class Notification(msgspec.Struct, kw_only=True):
    """One item on its way to `address`, which it was to reach at `due`. A `lasting` one goes out even when its subscription
    is gone."""

    id: str
    address: str
    subscription: str
    body: Body
    due: datetime
    lifecycle: bool = False
    lasting: bool = False


def change_body(subscription: Subscription, change: Change) -> Body:
    """Outlook's basic notification: mixed case, the user by id, and not a word about the calendar. With resource data the
    same in OData's own spelling."""
    identifier = change.id if subscription.immutable_ids else change.ordinary_id
    if subscription.include_resource_data:
        resource, kind = f"Users('{change.account}')/events('{identifier}')", "#microsoft.graph.event"
    else:
        resource, kind = f"Users/{change.account}/Events/{identifier}", "#Microsoft.Graph.Event"
    return {
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": _expiry(subscription),
        "changeType": change.type,
        "resource": resource,
        "resourceData": {
            "@odata.type": kind,
            "@odata.id": resource,
            "@odata.etag": change.etag,
            "id": identifier,
        },
        "clientState": subscription.client_state,
        "tenantId": subscription.tenant,
    }


def lifecycle_body(subscription: Subscription, event: LifecycleEvent) -> Body:
    """Of the subscription and nothing else: no resource, no type of change."""
    return {
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": _expiry(subscription),
        "tenantId": subscription.tenant,
        "clientState": subscription.client_state,
        "lifecycleEvent": event,
    }


def _expiry(subscription: Subscription) -> str:
    """Seven digits of a second, and the offset of the server that writes it: each subscription has one, not all UTC."""
    zone = OFFSETS[sum(subscription.id.encode()) % len(OFFSETS)]
    moment = subscription.expires.astimezone(zone).isoformat(timespec="microseconds")
    return f"{moment[:26]}0{moment[26:]}"
