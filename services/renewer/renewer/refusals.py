"""What Graph means when it refuses a subscription.

Outlook wraps Exchange's answer in an `ExtensionError` whose message alone tells the cases apart, so this is the one
place that reads a message of Graph's. Observed texts: "Subscription expiration can only be 10070 minutes in the
future.", "[Status Code: NotFound; Reason: REST API is not yet supported for this mailbox.]", "[Status Code: Forbidden;
Reason: Forbidden]", "Subscription Id … already exists for the requested combination".
"""

import re

from common.errors import AttendaraError, Conflict, Gone, Permanent, Refused

_INNER = re.compile(r"Status Code: (\w+)")
_DUPLICATE = re.compile(r"Subscription Id (\S+) already exists")
_CANT = frozenset(("NotFound", "Forbidden", "BadRequest", "MethodNotAllowed", "NotImplemented"))


class Shared(Permanent):
    """Graph allows one subscription per app and calendar, and another organization's connection to this account has it."""

    default_reason = "shared-calendar"


def is_too_long(error: AttendaraError) -> bool:
    """The life that we asked for is longer than Microsoft allows."""
    return isinstance(error, Refused) and error.status == 400 and "expiration" in str(error).lower()


def means_no_push(error: AttendaraError) -> bool:
    """There can be no subscription for this calendar now: another's, shared, on premises, unlicensed, gone, or one too many."""
    inner = _INNER.search(str(error))
    if isinstance(error, Refused) and error.code == "ExtensionError" and inner:
        return inner[1] in _CANT
    return isinstance(error, Gone | Shared) or (isinstance(error, Refused) and error.status == 403)


def duplicate_of(error: Conflict) -> str | None:
    """The id of the subscription that is in the way, where Graph names it."""
    named = _DUPLICATE.search(str(error))
    return named[1] if named else None
