"""The changed event itself, for subscriptions that want it in their notifications: selected, and encrypted for them."""

from collections.abc import Iterable
from typing import Any

from outlook_sandbox.accounts import Accounts
from outlook_sandbox.clock import Clock
from outlook_sandbox.graph import ids
from outlook_sandbox.graph.annotations import annotated
from outlook_sandbox.graph.encryption import encrypt, read_certificate, validation_token
from outlook_sandbox.graph.errors import invalid_request
from outlook_sandbox.graph.mailbox import Change
from outlook_sandbox.graph.mailboxes import Mailboxes
from outlook_sandbox.graph.occurrences import occurrence, whole
from outlook_sandbox.graph.prefer import Preferences
from outlook_sandbox.graph.properties import EVENT
from outlook_sandbox.graph.render import event_json
from outlook_sandbox.graph.resources import read_resource
from outlook_sandbox.graph.subscriptions import Subscription
from outlook_sandbox.identity.tokens import Tokens

KNOWN = frozenset(name.casefold() for name in EVENT.properties)
NEVER_SELECTED = frozenset(("body", "uniquebody"))


class ResourceData:
    def __init__(self, accounts: Accounts, mailboxes: Mailboxes, tokens: Tokens, clock: Clock) -> None:
        self._accounts = accounts
        self._mailboxes = mailboxes
        self._tokens = tokens
        self._clock = clock

    def encrypted(self, subscription: Subscription, change: Change) -> dict[str, Any] | None:
        """`encryptedContent`; None for what is no more."""
        shown = self._event(change, subscription.immutable_ids)
        if shown is None or subscription.certificate is None:
            return None
        wished = selected(subscription.resource)
        data = {name: value for name, value in shown.items() if name.casefold() in wished}
        return encrypt(annotated(data), subscription.certificate, subscription.certificate_id)

    def validation_tokens(self, subscriptions: Iterable[Subscription]) -> list[str]:
        """One for each app and tenant that are in a post."""
        pairs = sorted({(subscription.app, subscription.tenant) for subscription in subscriptions})
        return [validation_token(self._tokens.key, app, tenant, self._clock.now()) for app, tenant in pairs]

    def _event(self, change: Change, immutable_ids: bool) -> dict[str, Any] | None:
        account = self._accounts.get(change.account)
        if account is None or change.type == "deleted":
            return None
        mailbox = self._mailboxes.of(account)
        master, day = ids.split_id(change.id)
        event = mailbox.find(master)
        item = event and (whole(event) if day is None else occurrence(event, day))
        return event_json(mailbox, item, Preferences(immutable_ids=immutable_ids)) if item else None


def selected(resource: str) -> frozenset[str]:
    """The properties that a resource's `$select` names, in lower case."""
    names = (read_resource(resource).select or "").split(",")
    return frozenset(name.strip().casefold() for name in names if name.strip())


def check(subscription: Subscription) -> None:
    """Refuse (GraphError 400) a subscription whose wish for resource data, or lack of one, does not fit the rest of it."""
    if subscription.certificate is not None:
        read_certificate(subscription.certificate)
    wished = selected(subscription.resource)
    if not subscription.include_resource_data:
        if wished:
            raise invalid_request("A '$select' in the resource needs 'includeResourceData'.")
        return
    for name, value in (("Certificate", subscription.certificate), ("CertificateId", subscription.certificate_id)):
        if not value:
            raise invalid_request(f"The property 'encryption{name}' is required with 'includeResourceData'.")
    if not wished:
        raise invalid_request("The resource needs a '$select' with 'includeResourceData'.")
    if wished & NEVER_SELECTED:
        raise invalid_request("The properties 'body' and 'uniqueBody' can't be selected with 'includeResourceData'.")
    if unknown := sorted(wished - KNOWN):
        raise invalid_request(f"Could not find a property named '{unknown[0]}' on type 'microsoft.graph.event'.")
