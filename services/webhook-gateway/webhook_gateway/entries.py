"""What Graph posts: entries, each believed only when its `clientState` is one that we signed.

Shapes: https://learn.microsoft.com/graph/api/resources/changenotification. A lifecycle entry has neither resource
nor changeType, and an Outlook one no id: only what we use is read, so that nothing else can make an entry malformed.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from common.client_state import ClientStates, Forged
from common.errors import Rejected

Short = Annotated[str, msgspec.Meta(max_length=200)]
SHORTEST = 100
"""Bytes: a clientState of ours and the names of what an entry must have are more. Two million of a forger's are in one post."""


class NotPosted(Rejected):
    """The body is not JSON with a list `value`: no post of Graph's."""

    default_reason = "not-a-notification"


class Entry(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    subscription_id: Short
    client_state: str
    tenant_id: Short | None = None


class Notification(Entry, frozen=True, gc=False, rename="camel"):
    """`change_type`: whatever it is, the calendar may differ."""

    change_type: object = None


class Lifecycle(Entry, frozen=True, gc=False, rename="camel", kw_only=True):
    """`lifecycle_event`: whatever it is, it isn't lost."""

    lifecycle_event: object


E = TypeVar("E", bound=Entry)

# RecursionError: nested deeper than the decoder goes; UnicodeDecodeError: a string that isn't UTF-8.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Reader(Generic[E]):
    """Reads the entries of one kind. Keeps nothing between posts."""

    def __init__(self, kind: type[E], client_states: ClientStates) -> None:
        self._decode = msgspec.json.Decoder(kind).decode
        self._decode_whole = msgspec.json.Decoder(_post_of(kind)).decode
        self._decode_parts = msgspec.json.Decoder(_post_of(msgspec.Raw)).decode
        self._verify = client_states.verify

    def read(self, body: bytes, dropped: Counter[str]) -> list[tuple[str, E]]:
        """Each genuine entry behind its calendar's id; the others are counted by reason. Raises NotPosted."""
        genuine = []
        for entry in self._entries(body):
            if entry is None:
                dropped["malformed"] += 1
                continue
            try:
                genuine.append((self._verify(entry.client_state), entry))
            except Forged as forged:
                dropped[forged.reason] += 1
        return genuine

    def _entries(self, body: bytes) -> Iterable[E | None]:
        """None for a malformed one, which spoils no other: then each is decoded by itself, at twice the cost."""
        try:
            whole: list[E] = self._decode_whole(body).value
            return whole
        except _UNREADABLE:
            pass
        try:
            return map(self._entry, self._decode_parts(body).value)
        except _UNREADABLE as error:
            raise NotPosted("the body is not JSON with a list `value`") from error

    def _entry(self, part: msgspec.Raw) -> E | None:
        if len(memoryview(part)) < SHORTEST:
            return None
        try:
            return self._decode(part)
        except _UNREADABLE:
            return None


def _post_of(kind: Any) -> Any:
    return msgspec.defstruct("Post", [("value", list[kind])])
