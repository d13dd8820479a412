"""Requests about subscriptions."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import msgspec

from outlook_sandbox.delivery.handshake import shake_hands
from outlook_sandbox.faults import SubscriptionRefused, SubscriptionsUnlisted
from outlook_sandbox.graph import resource_data
from outlook_sandbox.graph.errors import GraphError, body_refused, invalid_request, unauthenticated
from outlook_sandbox.graph.operations import ANY_SCOPE, METADATA, READ_CALENDARS, Answer, Call, operations
from outlook_sandbox.graph.paging import page
from outlook_sandbox.graph.resources import read_resource
from outlook_sandbox.graph.subscriptions import (
    LONGEST,
    LONGEST_WITH_DATA,
    Subscription,
    new_id,
    read_expiry,
    subscription_json,
)
from outlook_sandbox.guard import is_loopback

LONGEST_TEXT = 128
LONGEST_CERTIFICATE = 20_000
CHANGEABLE = frozenset(("expirationDateTime", "notificationUrl", "encryptionCertificate", "encryptionCertificateId", "@odata.type"))
KNOWN = CHANGEABLE | {
    "changeType", "lifecycleNotificationUrl", "resource", "clientState", "latestSupportedTlsVersion", "includeResourceData",
}  # fmt: skip
CHANGE_TYPES = frozenset(("created", "updated", "deleted"))
TLS_VERSIONS = frozenset(("v1_0", "v1_1", "v1_2", "v1_3"))
ENTITY = f"{METADATA}subscriptions/$entity"
REFUSALS = {
    "NotFound": (404, "REST API is not yet supported for this mailbox."),
    "Forbidden": (403, "Forbidden"),
    "ServiceUnavailable": (
        403,
        "Target resource '00034001-2c5e-7d41-0000-000000000000' hosted on database '6e0d4a52-91b7-4f3c-8a1e-5d70c2b9f846' "
        "is currently on backend 'Unknown'",
    ),
    "Unauthorized": (401, "Authentication failed"),
}
"""What Exchange was seen to answer, with the status that Graph gave it."""


@operations.on("POST", "/subscriptions", scopes=READ_CALENDARS)
async def create_subscription(call: Call) -> Answer:
    """Graph answers only after both addresses have shown that they expect it; then Exchange has its say."""
    sandbox = call.sandbox
    wanted = _read(call)
    sandbox.subscriptions.refuse(wanted)
    addresses = filter(None, (wanted.notification_url, wanted.lifecycle_url))
    await asyncio.gather(*(_shake_hands(call, address) for address in addresses))
    if call.mailbox.closed:
        raise unauthenticated("The identity of the calling application or user could not be established.")
    _ask_exchange(call, wanted)
    sandbox.subscriptions.refuse(wanted)
    sandbox.subscriptions.add(wanted)
    sandbox.lifecycle.watch(wanted)
    return Answer(201, _entity(wanted))


@operations.on("GET", "/subscriptions", scopes=ANY_SCOPE, query=frozenset(("$top", "$skip")))
def list_subscriptions(call: Call) -> Answer:
    sandbox, account = call.sandbox, call.token.account
    own = [entry for entry in sandbox.subscriptions.of_account(account) if entry.app == call.token.app]
    listed = page(call, own, lambda entry: subscription_json(entry, with_state=False), "subscriptions")
    if sandbox.faults and isinstance(listed.body, dict):
        listed.body["value"] = [
            entry for entry in listed.body["value"] if not sandbox.faults.strike(SubscriptionsUnlisted, account=account)
        ]
    return listed


@operations.on("GET", "/subscriptions/*", scopes=ANY_SCOPE)
def get_subscription(call: Call) -> Answer:
    return Answer(200, {"@odata.context": ENTITY} | subscription_json(_subscription(call), with_state=False))


@operations.on("PATCH", "/subscriptions/*", scopes=READ_CALENDARS)
async def update_subscription(call: Call) -> Answer:
    """Also renews the permission. A new address has to shake hands first."""
    subscription = _subscription(call)
    sent = _known(call.json(), CHANGEABLE)
    changes: dict[str, Any] = {}
    if "expirationDateTime" in sent:
        changes["expires"] = read_expiry(sent["expirationDateTime"], call.sandbox.clock.now())
    if "notificationUrl" in sent:
        changes["notification_url"] = _address(call, sent, "notificationUrl")
    if "encryptionCertificate" in sent:
        changes["certificate"] = _optional(sent, "encryptionCertificate")
    if "encryptionCertificateId" in sent:
        changes["certificate_id"] = _optional(sent, "encryptionCertificateId", LONGEST_TEXT)
    if not changes:
        raise invalid_request("The property 'expirationDateTime' is required.")
    changed = msgspec.structs.replace(subscription, **changes)
    resource_data.check(changed)
    if "notificationUrl" in sent:
        await _shake_hands(call, changed.notification_url)
        subscription = _subscription(call)
    _cap(call, changed, "Update")
    for name, value in changes.items():
        setattr(subscription, name, value)
    _attach(call, subscription)
    return Answer(200, _entity(subscription))


@operations.on("DELETE", "/subscriptions/*", scopes=ANY_SCOPE)
def delete_subscription(call: Call) -> Answer:
    call.sandbox.subscriptions.remove(_subscription(call))
    return Answer(204)


@operations.on("POST", "/subscriptions/*/reauthorize", scopes=READ_CALENDARS)
def reauthorize(call: Call) -> Answer:
    """Renews the permission, not the time."""
    _attach(call, _subscription(call))
    return Answer(204)


async def _shake_hands(call: Call, address: str) -> None:
    delivery = call.sandbox.delivery
    await shake_hands(delivery.client, address, delivery.patience.handshake)


def _attach(call: Call, subscription: Subscription) -> None:
    """The bearer's token is the one by which the subscription now sees its resource."""
    subscription.attached_until = call.token.expires_at
    call.sandbox.subscriptions.store(subscription)
    call.sandbox.delivery.renewed(subscription.id)
    call.sandbox.lifecycle.watch(subscription)


def _subscription(call: Call) -> Subscription:
    found = call.sandbox.subscriptions.find(call.names[0], call.token.app, call.token.account)
    if found is None:
        raise GraphError(404, "ResourceNotFound", "The object was not found.")
    return found


def _read(call: Call) -> Subscription:
    sent = _known(call.json(), KNOWN)
    resource = _text(sent, "resource")
    tls = _optional(sent, "latestSupportedTlsVersion") or "v1_2"
    if tls not in TLS_VERSIONS:
        raise invalid_request("The property 'latestSupportedTlsVersion' is invalid.")
    if not isinstance(sent.get("includeResourceData"), bool | None):
        raise invalid_request("The property 'includeResourceData' is invalid.")
    wanted = Subscription(
        id=new_id(),
        app=call.token.app,
        account=call.token.account,
        tenant=call.mailbox.account.tid,
        resource=resource,
        calendar=read_resource(resource).calendar,
        change_type=_change_type(sent),
        notification_url=_address(call, sent, "notificationUrl"),
        lifecycle_url=_address(call, sent, "lifecycleNotificationUrl") if sent.get("lifecycleNotificationUrl") else None,
        client_state=_optional(sent, "clientState", LONGEST_TEXT),
        tls=tls,
        immutable_ids=call.preferences.immutable_ids,
        expires=read_expiry(sent.get("expirationDateTime"), call.sandbox.clock.now()),
        attached_until=call.token.expires_at,
        include_resource_data=sent.get("includeResourceData"),
        certificate=_optional(sent, "encryptionCertificate"),
        certificate_id=_optional(sent, "encryptionCertificateId", LONGEST_TEXT),
    )
    resource_data.check(wanted)
    return wanted


def _known(sent: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    unknown = sorted(sent.keys() - known)
    if unknown:
        raise body_refused(f"The property '{unknown[0]}' can't be set on type 'microsoft.graph.subscription' here.")
    return sent


def _text(sent: dict[str, Any], name: str) -> str:
    text = sent.get(name)
    if not isinstance(text, str) or not text:
        raise invalid_request(f"The property '{name}' is required.")
    return text


def _optional(sent: dict[str, Any], name: str, longest: int = LONGEST_CERTIFICATE) -> str | None:
    """A text of a bounded length; none and the empty one are the same."""
    text = sent.get(name)
    if text in (None, ""):
        return None
    if not isinstance(text, str) or len(text) > longest:
        raise invalid_request(f"The property '{name}' has to be a text of {longest} characters at most.")
    return text


def _change_type(sent: dict[str, Any]) -> str:
    text = _text(sent, "changeType")
    if not CHANGE_TYPES.issuperset(part.strip() for part in text.split(",")):
        raise invalid_request(f"The changeType '{text}' is not supported for this resource.")
    return text


def _address(call: Call, sent: dict[str, Any], name: str) -> str:
    """https anywhere; http on this machine, or wherever the sandbox may be asked from."""
    text = _text(sent, name)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise invalid_request(f"The property '{name}' is not a valid URL.") from None
    plain = parts.scheme == "http" and (call.sandbox.settings.allow_other_hosts or is_loopback(host or ""))
    if not host or port == 0 or not (parts.scheme == "https" or plain):
        raise invalid_request(f"The property '{name}' must be an absolute https URL.")
    return text


def _ask_exchange(call: Call, wanted: Subscription) -> None:
    """Raise what Exchange has against a subscription that Graph itself finds in order."""
    fault = call.sandbox.faults and call.sandbox.faults.strike(SubscriptionRefused, account=wanted.account)
    if fault:
        status, reason = REFUSALS[fault.inner]
        raise _extension(fault.status or status, fault.inner, reason)
    user = read_resource(wanted.resource).user
    calendar = call.mailbox.calendars.get(wanted.calendar) if wanted.calendar else None
    if user not in (None, wanted.account, call.mailbox.account.username.casefold()):
        raise _extension(403, "Forbidden", "Forbidden")
    if calendar is None and wanted.calendar:
        reason = "The specified object was not found in the store., The process failed to get the correct properties."
        raise _extension(400, "BadRequest", reason)
    if calendar is not None and not call.mailbox.owns(calendar):
        raise _extension(403, "Forbidden", "Forbidden")
    _cap(call, wanted, "Create")


def _cap(call: Call, wanted: Subscription, operation: str) -> None:
    longest = LONGEST_WITH_DATA if wanted.include_resource_data else LONGEST
    if wanted.expires > call.sandbox.clock.now() + longest:
        minutes = int(longest.total_seconds() // 60)
        reason = f"Subscription expiration can only be {minutes} minutes in the future."
        raise _extension(400, "BadRequest", reason, operation)


def _extension(status: int, inner: str, reason: str, operation: str = "Create") -> GraphError:
    message = f"Operation: {operation}; Exception: [Status Code: {inner}; Reason: {reason}]"
    return GraphError(status, "ExtensionError", message)


def _entity(subscription: Subscription) -> dict[str, Any]:
    return {"@odata.context": ENTITY} | subscription_json(subscription, with_state=True)
