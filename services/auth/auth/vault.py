"""Encryption of what must never be readable at rest: a data key per connection, wrapped by a key of ours.

The data key encrypts (AES-256-GCM) with `v1|organization|connection|purpose` as additional data, so that a ciphertext
moved to another connection doesn't open. It is wrapped by a key-encryption key with `key id|connection`; the record
names that key, and a re-wrap touches nothing else. Destroying the wrapped key destroys all that it encrypted.
"""

import base64
import binascii
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from common.errors import Permanent

KEY_BYTES = 32
NONCE_BYTES = 12
TOKEN_CACHE = "token-cache"  # noqa: S105 - the purpose of a ciphertext


class Unreadable(Permanent):
    """A record can't be opened with the keys that we have: a wrong or missing key, or a record that was changed."""

    default_reason = "unreadable"


@dataclass(frozen=True)
class WrappedKey:
    """A connection's data key as it is stored; `kid` names the key that wraps it."""

    kid: str
    wrapped: bytes


@dataclass(frozen=True)
class Owner:
    organization: str
    connection: str


class Vault:
    """The key-encryption keys by their ids; `active` wraps what is new."""

    def __init__(self, keys: dict[str, bytes], active: str) -> None:
        self._keys = keys
        self.active = active

    @property
    def known(self) -> list[str]:
        """Their ids, in the order of TOKEN_KEYS."""
        return list(self._keys)

    def new_key(self, owner: Owner) -> WrappedKey:
        return self._wrap(AESGCM.generate_key(KEY_BYTES * 8), owner)

    def rewrapped(self, sealed: bytes, key: WrappedKey, owner: Owner, purpose: str = TOKEN_CACHE) -> WrappedKey:
        """The same data key under the active key, proved by opening what it sealed. Raises Unreadable."""
        again = self._wrap(self._unwrap(key, owner), owner)
        self.open(sealed, again, owner, purpose)
        return again

    def seal(self, plain: bytes, key: WrappedKey, owner: Owner, purpose: str = TOKEN_CACHE) -> bytes:
        return _seal(self._unwrap(key, owner), plain, _owned(owner, purpose))

    def open(self, sealed: bytes, key: WrappedKey, owner: Owner, purpose: str = TOKEN_CACHE) -> bytes:
        """Raises Unreadable."""
        return _open(self._unwrap(key, owner), sealed, _owned(owner, purpose))

    def check(self, key: WrappedKey, owner: Owner) -> None:
        """Raises Unreadable when this data key can't be unwrapped."""
        self._unwrap(key, owner)

    def _wrap(self, data_key: bytes, owner: Owner) -> WrappedKey:
        return WrappedKey(self.active, _seal(self._keys[self.active], data_key, f"{self.active}|{owner.connection}"))

    def _unwrap(self, key: WrappedKey, owner: Owner) -> bytes:
        if key.kid not in self._keys:
            raise Unreadable(f"TOKEN_KEYS has no key {key.kid!r}, which {owner.connection} is encrypted with")
        return _open(self._keys[key.kid], key.wrapped, f"{key.kid}|{owner.connection}")


def make_vault(token_keys: Sequence[SecretStr]) -> Vault:
    """From `<key id>:<base64 of 32 bytes>`, the first one active. Raises ValueError that names the key id, never the key."""
    keys: dict[str, bytes] = {}
    for given in token_keys:
        kid, colon, encoded = given.get_secret_value().partition(":")
        if not kid or not colon or "|" in kid or kid in keys:
            raise ValueError("each key needs an id of its own in front of a colon, without `|`")
        keys[kid] = _decoded(kid, encoded)
    return Vault(keys, next(iter(keys)))


def _decoded(kid: str, encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"key {kid!r} is not the base64 of {KEY_BYTES} bytes")
    return key


def _owned(owner: Owner, purpose: str) -> str:
    return f"v1|{owner.organization}|{owner.connection}|{purpose}"


def _seal(key: bytes, plain: bytes, bound_to: str) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound_to.encode())


def _open(key: bytes, sealed: bytes, bound_to: str) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode())
    except (InvalidTag, ValueError):
        raise Unreadable(
            f"a record does not open as {bound_to!r}: a wrong key in TOKEN_KEYS, or a record that was changed"
        ) from None
