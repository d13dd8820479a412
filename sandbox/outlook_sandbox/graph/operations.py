"""Graph's requests by method and path: what each needs, and the two things every one is made of, Call and Answer."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from outlook_sandbox.graph.errors import GraphError, access_denied, bad_request, body_refused
from outlook_sandbox.graph.mailbox import Mailbox
from outlook_sandbox.graph.prefer import Preferences

if TYPE_CHECKING:
    from outlook_sandbox.identity.tokens import AccessToken
    from outlook_sandbox.state import Sandbox

READ_CALENDARS = frozenset(("Calendars.Read", "Calendars.ReadWrite"))
READ_BASIC = READ_CALENDARS | {"Calendars.ReadBasic"}
WRITE_CALENDARS = frozenset(("Calendars.ReadWrite",))
READ_SETTINGS = frozenset(("MailboxSettings.Read", "MailboxSettings.ReadWrite"))
WRITE_SETTINGS = frozenset(("MailboxSettings.ReadWrite",))
READ_USER = frozenset(("User.Read", "User.ReadWrite"))
ANY_SCOPE: frozenset[str] = frozenset()
NO_TEXT = {"body": {"contentType": "html", "content": ""}, "bodyPreview": ""}
DEEPEST = 100
METADATA = "https://graph.microsoft.com/v1.0/$metadata#"
"""What every `@odata.context` begins with."""
# Texts, so that what stands in them is passed over (the last one may have no end), and brackets. Never looks at a byte twice.
_BRACKETS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|([\[{])|([\]}])', re.DOTALL)


@dataclass(slots=True)
class Call:
    """One request, its bearer known.

    `base` is where the sandbox was reached, for the links it gives; `segments` is the path without version, with `me` for
    the caller's `users/{id}`; `names` is what stands in it for the operation's `*`.
    """

    sandbox: "Sandbox"
    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes
    base: str
    token: "AccessToken"
    mailbox: Mailbox
    preferences: Preferences
    segments: list[str]
    names: tuple[str, ...] = ()
    in_batch: bool = False

    def json(self) -> dict[str, Any]:
        """The body as an object; raises GraphError 400."""
        return read_json(self.body, dict[str, Any])

    def link(self, query: str) -> str:
        return f"{self.base}{self.path}?{query}"

    def readable(self, event: dict[str, Any]) -> dict[str, Any]:
        """As much of an event as the token's scopes reach: Calendars.ReadBasic alone shows no text and no extended properties."""
        if self.token.scopes & READ_CALENDARS:
            return event
        return {name: NO_TEXT.get(name, value) for name, value in event.items() if name != "singleValueExtendedProperties"}


@dataclass(slots=True)
class Answer:
    """`body` is written as JSON, unless it is bytes; None is no body."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)


Read = TypeVar("Read")


def read_json(body: bytes, wanted: type[Read]) -> Read:
    """The body as what is wanted; raises GraphError 400, also for what is nested too deeply to be worked with."""
    if _depth(body) > DEEPEST:
        raise body_refused(f"Unable to read JSON request payload: it is nested deeper than {DEEPEST} levels.")
    try:
        return msgspec.json.decode(body, type=wanted)
    except (msgspec.DecodeError, UnicodeDecodeError) as reason:
        raise body_refused(f"Unable to read JSON request payload: {reason}") from reason


def _depth(body: bytes) -> int:
    """How deeply objects and lists are nested; counted only if there are enough of them."""
    if body.count(b"{") + body.count(b"[") <= DEEPEST:
        return 0
    deepest = depth = 0
    for found in _BRACKETS.finditer(body):
        depth += (found[1] is not None) - (found[2] is not None)
        deepest = max(deepest, depth)
    return deepest


Work = Callable[[Call], Answer | Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Operation:
    work: Work
    scopes: frozenset[str]
    query: frozenset[str]


class _Segment:
    """A place in the tree of paths; the name "*" stands for any."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.children: dict[str, _Segment] = {}
        self.operations: dict[str, Operation] = {}


class Operations:
    """The trees of all paths, one for each version of Graph. Below `/me` and `/users/{id}` is the same."""

    def __init__(self) -> None:
        self._versions = {version: _Segment(version) for version in ("v1.0", "beta")}

    def on(
        self,
        method: str,
        *paths: str,
        scopes: frozenset[str],
        query: frozenset[str] = frozenset(),
        version: Literal["v1.0", "beta"] = "v1.0",
    ) -> Callable[[Work], Work]:
        """Register work for paths such as `/me/events/*`; it gets what stood for each `*` as `call.names`."""

        def register(work: Work) -> Work:
            for path in paths:
                segment = self._versions[version]
                for name in path.strip("/").split("/"):
                    segment = segment.children.setdefault(name.casefold(), _Segment(name))
                segment.operations[method] = Operation(work, scopes, query)
            return work

        return register

    def find(self, version: str, method: str, path: list[str]) -> tuple[Operation, list[str], tuple[str, ...]]:
        """The operation, the path with its names as they are registered, and what stood for each `*`.

        Raises GraphError 400 or 405.
        """
        segment, known, names = self._versions.get(version), [], []
        if segment is None:
            raise _unknown(version)
        for name in path:
            child = segment.children.get(name.casefold())
            if child is None:
                child = segment.children.get("*")
                names.append(name)
            if child is None:
                raise _unknown(name)
            known.append(name if child.name == "*" else child.name)
            segment = child
        operation = segment.operations.get(method)
        if operation is None and segment.operations:
            raise GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
        if operation is None:
            raise _unknown(path[-1] if path else "")
        return operation, known, tuple(names)


def _unknown(name: str) -> GraphError:
    return bad_request(f"Resource not found for the segment '{name}'.")


operations = Operations()


def check(operation: Operation, call: Call) -> None:
    """Refuse a call without the permission, or with a query option that the operation does not have."""
    if operation.scopes and not operation.scopes & call.token.scopes:
        raise access_denied()
    for name in call.query:
        if name not in operation.query:
            raise GraphError(
                400,
                "ErrorInvalidUrlQuery" if name.startswith("$") else "BadRequest",
                f"The query option '{name}' is not supported here.",
            )
    if call.body and call.method in ("POST", "PATCH") and not _is_json(call.headers.get("content-type", "")):
        raise GraphError(415, "RequestBodyRead", "A supported MIME type could not be found that matches the content type.")


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().casefold() == "application/json"
