"""What a subscription is about: the `resource` that a client wrote, understood."""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qs, unquote

from outlook_sandbox.graph.errors import invalid_request

_KEYED = re.compile(r"\('([^']*)'\)")
_EVENTS = re.compile(r"/?(?:me|users/(?P<user>[^/]+))(?:/calendars/(?P<calendar>[^/]+))?/events/?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Resource:
    """`user` is None for `me`, `calendar` None for the whole mailbox; `select` as it was written, None without a query."""

    user: str | None
    calendar: str | None
    select: str | None


@lru_cache(maxsize=4096)
def read_resource(text: str) -> Resource:
    """`/me/events`, `users/{id}/calendars/{id}/events`, `me/calendars('{id}')/events?$select=subject` and the like.

    Raises GraphError 400 for anything else, a single event among it.
    """
    path, _, query = text.partition("?")
    found = _EVENTS.fullmatch(_KEYED.sub(r"/\1", path))
    if found is None:
        raise invalid_request(f"The resource '{text}' can't be subscribed to.")
    options = parse_qs(query, keep_blank_values=True)
    unknown = sorted(options.keys() - {"$select"})
    if unknown:
        raise invalid_request(f"The query option '{unknown[0]}' is not supported in a subscription's resource.")
    user, calendar = found["user"], found["calendar"]
    return Resource(user and unquote(user).casefold(), calendar and unquote(calendar), options["$select"][0] if options else None)
