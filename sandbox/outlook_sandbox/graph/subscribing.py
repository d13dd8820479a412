"""Requests about subscriptions, with the handshake that a new one needs."""

import asyncio
import ipaddress
import uuid
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2

from outlook_sandbox.graph.errors import GraphError, body_refused
from outlook_sandbox.graph.operations import ANY_SCOPE, READ_CALENDARS, Answer, Call, operations
from outlook_sandbox.graph.paging import page
from outlook_sandbox.graph.subscriptions import Subscription, expiry, new_id, subscription_json

HANDSHAKE_SECONDS = 10
LONGEST_STATE = 128
KNOWN = frozenset(
    (
        "changeType", "notificationUrl", "lifecycleNotificationUrl", "resource", "expirationDateTime", "clientState",
        "latestSupportedTlsVersion", "includeResourceData", "@odata.type",
    )
)  # fmt: skip
CHANGEABLE = frozenset(("expirationDateTime", "notificationUrl", "@odata.type"))
CHANGE_TYPES = frozenset(("created", "updated", "deleted"))
TLS_VERSIONS = frozenset(("v1_0", "v1_1", "v1_2", "v1_3"))
ENTITY = "https://graph.microsoft.com/v1.0/$metadata#subscriptions/$entity"


@operations.on("POST", "/subscriptions", scopes=READ_CALENDARS)
async def create_subscription(call: Call) -> Answer:
    """Graph answers only after both addresses have shown that they expect it."""
    subscriptions = call.sandbox.subscriptions
    wanted = _read(call)
    same = (wanted.app, wanted.account, wanted.resource, wanted.change_types)
    subscriptions.refuse_duplicate(*same)
    addresses = filter(None, (wanted.notification_url, wanted.lifecycle_url))
    await asyncio.gather(*(shake_hands(call.sandbox.delivery.client, address) for address in addresses))
    subscriptions.refuse_duplicate(*same)
    subscriptions.add(wanted)
    return Answer(201, _entity(wanted))


@operations.on("GET", "/subscriptions", scopes=ANY_SCOPE, query=frozenset(("$top", "$skip")))
def list_subscriptions(call: Call) -> Answer:
    own = [entry for entry in call.sandbox.subscriptions.of_account(call.token.account) if entry.app == call.token.app]
    return page(call, own, lambda entry: subscription_json(entry, with_state=False), "subscriptions")


@operations.on("GET", "/subscriptions/*", scopes=ANY_SCOPE)
def get_subscription(call: Call) -> Answer:
    return Answer(200, {"@odata.context": ENTITY} | subscription_json(_subscription(call), with_state=False))


@operations.on("PATCH", "/subscriptions/*", scopes=READ_CALENDARS)
async def update_subscription(call: Call) -> Answer:
    subscription = _subscription(call)
    sent = _known(call.json(), CHANGEABLE)
    if not {"expirationDateTime", "notificationUrl"} & sent.keys():
        raise GraphError(400, "InvalidRequest", "The property 'expirationDateTime' is required.")
    now = call.sandbox.clock.now()
    until = expiry(sent["expirationDateTime"], now, "Update") if "expirationDateTime" in sent else subscription.expires
    if "notificationUrl" in sent:
        address = _address(sent, "notificationUrl")
        await shake_hands(call.sandbox.delivery.client, address)
        subscription.notification_url = address
    subscription.expires = until
    call.sandbox.subscriptions.store(subscription)
    return Answer(200, _entity(subscription))


@operations.on("DELETE", "/subscriptions/*", scopes=ANY_SCOPE)
def delete_subscription(call: Call) -> Answer:
    call.sandbox.subscriptions.remove(_subscription(call))
    return Answer(204)


@operations.on("POST", "/subscriptions/*/reauthorize", scopes=READ_CALENDARS)
def reauthorize(call: Call) -> Answer:
    """Renews the permission, not the time."""
    _subscription(call)
    return Answer(204)


async def shake_hands(client: httpx2.AsyncClient, address: str) -> None:
    """Ask an address to repeat a token that has to be URL-decoded. Raises GraphError 400."""
    token = f"Validation: Testing client application reachability for subscription Request-Id: {uuid.uuid4()}+100%"
    separator = "&" if urlsplit(address).query else "?"
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            answer = await client.post(
                f"{address}{separator}validationToken={quote(token, safe='')}",
                headers={"Content-Type": "text/plain; charset=utf-8"},
                timeout=HANDSHAKE_SECONDS,
            )
    except (TimeoutError, httpx2.TimeoutException) as reason:
        raise _not_validated("Subscription validation request timed out.") from reason
    except (httpx2.HTTPError, httpx2.InvalidURL) as reason:
        raise _unanswered() from reason
    if answer.status_code != 200:
        raise _unanswered()
    if answer.text != token or not answer.headers.get("content-type", "").startswith("text/plain"):
        raise _not_validated("Subscription validation request failed. Response must exactly match validationToken query parameter.")


def _unanswered() -> GraphError:
    return _not_validated(
        "Subscription validation request failed. Notification endpoint must respond with 200 OK to validation request."
    )


def _not_validated(message: str) -> GraphError:
    return GraphError(400, "ValidationError", message)


def _subscription(call: Call) -> Subscription:
    found = call.sandbox.subscriptions.find(call.names[0], call.token.app, call.token.account)
    if found is None:
        raise GraphError(404, "ResourceNotFound", "The object was not found.")
    return found


def _read(call: Call) -> Subscription:
    sent = _known(call.json(), KNOWN)
    resource = _text(sent, "resource")
    state = sent.get("clientState")
    if state is not None and (not isinstance(state, str) or len(state) > LONGEST_STATE):
        raise GraphError(400, "InvalidRequest", f"The property 'clientState' exceeds {LONGEST_STATE} characters.")
    tls = sent.get("latestSupportedTlsVersion") or "v1_2"
    if tls not in TLS_VERSIONS:
        raise GraphError(400, "InvalidRequest", "The property 'latestSupportedTlsVersion' is invalid.")
    if sent.get("includeResourceData"):
        raise GraphError(400, "InvalidRequest", "The property 'encryptionCertificate' is required.")
    return Subscription(
        id=new_id(),
        app=call.token.app,
        account=call.token.account,
        tenant=call.mailbox.account.tid,
        resource=resource,
        calendar=_calendar(call, resource),
        change_type=_change_type(sent),
        notification_url=_address(sent, "notificationUrl"),
        lifecycle_url=_address(sent, "lifecycleNotificationUrl") if sent.get("lifecycleNotificationUrl") else None,
        client_state=state,
        tls=tls,
        immutable_ids=call.preferences.immutable_ids,
        expires=expiry(sent.get("expirationDateTime"), call.sandbox.clock.now(), "Create"),
    )


def _known(sent: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    unknown = sorted(sent.keys() - known)
    if unknown:
        raise body_refused(f"The property '{unknown[0]}' can't be set on type 'microsoft.graph.subscription' here.")
    return sent


def _text(sent: dict[str, Any], name: str) -> str:
    text = sent.get(name)
    if not isinstance(text, str) or not text:
        raise GraphError(400, "InvalidRequest", f"The property '{name}' is required.")
    return text


def _change_type(sent: dict[str, Any]) -> str:
    text = _text(sent, "changeType")
    if not CHANGE_TYPES.issuperset(part.strip() for part in text.split(",")):
        raise GraphError(400, "InvalidRequest", f"The changeType '{text}' is not supported for this resource.")
    return text


def _address(sent: dict[str, Any], name: str) -> str:
    """https anywhere, http on this machine only."""
    text = _text(sent, name)
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        raise GraphError(400, "InvalidRequest", f"The property '{name}' is not a valid URL.") from None
    if not (host and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)))):
        raise GraphError(400, "InvalidRequest", f"The property '{name}' must be an absolute https URL.")
    return text


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _calendar(call: Call, resource: str) -> str | None:
    """The calendar that a resource means, None for all. Raises GraphError for one that can't be subscribed to."""
    parts = resource.strip("/").split("/")
    if len(parts) > 1 and parts[0].casefold() == "users":
        if parts[1].casefold() not in (call.token.account, call.mailbox.account.username.casefold()):
            raise _extension(403, "Forbidden", "Forbidden")
        parts = ["me", *parts[2:]]
    match [part if place == 2 else part.casefold() for place, part in enumerate(parts)]:
        case ["me", "events"]:
            return None
        case ["me", "calendars", identifier, "events"]:
            calendar = call.mailbox.calendars.get(identifier)
            if calendar is None:
                raise _extension(404, "NotFound", "The specified object was not found in the store.")
            if calendar.owner_address != call.mailbox.account.username:
                raise _extension(403, "Forbidden", "Forbidden")
            return identifier
    raise GraphError(400, "InvalidRequest", f"The resource '{resource}' can't be subscribed to.")


def _extension(status: int, inner: str, reason: str) -> GraphError:
    message = f"Operation: Create; Exception: [Status Code: {inner}; Reason: {reason}]"
    return GraphError(status, "ExtensionError", message)


def _entity(subscription: Subscription) -> dict[str, Any]:
    return {"@odata.context": ENTITY} | subscription_json(subscription, with_state=True)
