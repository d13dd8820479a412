"""Graph's `clientState`, as we sign it: `v1.<key id>.<our calendar id>.<HMAC-SHA256, base64url>`.

The renewer gives it to Graph with each subscription, Graph repeats it in each entry that it posts, and the gateway
learns from it, without any lookup, that the entry is genuine and which calendar it is about. Several keys are valid
at once; the first one signs. Graph takes 128 characters at most.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from common.errors import Rejected
from common.ids import is_id
from common.settings import Part, SecretList

LONGEST = 128
PROBE_CALENDAR = f"cal_{'0' * 26}"
"""No calendar has this id: `attendara check webhook` signs for it, the gateway recognizes it and publishes nothing."""
MOST_KNOWN = 20_000
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SHORTEST_KEY = 32


class Forged(Rejected):
    """Not a clientState of ours; `reason` says in what way, the text itself is kept nowhere."""

    default_reason = "forged"


class ClientStates:
    """Signs and verifies. `keys`: `<key id>:<base64 of 32 bytes or more>`, the one that signs first.

    What was verified is remembered, since Graph repeats the same ones for days. It is found by SipHash with a key of this
    process, so the time that looking takes tells a forger nothing.
    """

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        self._keys = dict(_key(entry.get_secret_value()) for entry in keys)
        self.active = next(iter(self._keys))
        self._known: dict[str, str] = {}

    def sign(self, calendar: str) -> str:
        signed = f"v1.{self.active}.{calendar}"
        return f"{signed}.{_signature(self._keys[self.active], signed)}"

    def verify(self, client_state: str) -> str:
        """The calendar's id; raises Forged. How long it takes says nothing about the signature that was expected."""
        if known := self._known.get(client_state):
            return known
        parts = client_state.split(".", 4)
        if len(client_state) > LONGEST or len(parts) != 4 or parts[0] != "v1" or not client_state.isascii():
            raise Forged("not a clientState of ours", reason="malformed-client-state")
        _, key_id, calendar, signature = parts
        if key_id not in self._keys:
            raise Forged("signed with a key that we don't have", reason="unknown-key")
        expected = _signature(self._keys[key_id], f"v1.{key_id}.{calendar}")
        if not hmac.compare_digest(signature, expected) or not is_id(calendar, "cal"):
            raise Forged("the signature is not ours")
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[client_state] = calendar
        return calendar


def _signature(key: bytes, signed: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, signed.encode(), "sha256")).rstrip(b"=").decode()


def _key(entry: str) -> tuple[str, bytes]:
    key_id, colon, encoded = entry.partition(":")
    if not colon or not _KEY_ID.fullmatch(key_id):
        raise ValueError("a key is `<key id>:<base64>`, its id 1 to 32 letters, digits, `-` or `_`")
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError(f"key {key_id} is not base64") from error
    if len(key) < _SHORTEST_KEY:
        raise ValueError(f"key {key_id} has {len(key)} bytes: {_SHORTEST_KEY} are needed")
    return key_id, key


def _usable(entries: list[SecretStr]) -> list[SecretStr]:
    key_ids = [_key(entry.get_secret_value())[0] for entry in entries]
    if len(set(key_ids)) < len(key_ids):
        raise ValueError("each key needs an id of its own")
    return entries


class ClientStateSettings(Part):
    client_state_keys: Annotated[SecretList, AfterValidator(_usable)] = Field(min_length=1)
    """The keys that sign Graph's `clientState`: `<key id>:<base64 of 32 bytes or more>` with commas; the first one signs."""
