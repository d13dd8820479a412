"""Access and refresh tokens: opaque strings, kept in the sandbox's database so that a restart signs nobody out."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from outlook_sandbox.clock import Clock
from outlook_sandbox.database import Database
from outlook_sandbox.identity.codes import Codes
from outlook_sandbox.identity.consents import Consents
from outlook_sandbox.identity.errors import Refused
from outlook_sandbox.identity.keys import SigningKey, signing_key

ACCESS = "access-token"
REFRESH = "refresh-token"
ACCESS_LIFETIME = timedelta(seconds=3599)
REFRESH_LIFETIME = timedelta(days=90)


@dataclass(frozen=True)
class AccessToken:
    """What a bearer may do: the account (its oid) it acts for, the app (client id) it was given to, and the scopes."""

    account: str
    app: str
    scopes: frozenset[str]
    expires_at: datetime


@dataclass(frozen=True)
class Issued:
    access_token: str
    refresh_token: str | None
    scopes: frozenset[str]


@dataclass(frozen=True)
class Grant:
    """What a refresh token stands for: an account's consent to an app, with the scopes it was first given."""

    account: str
    app: str
    scopes: frozenset[str]


class Tokens:
    """What the identity platform has given out: tokens, and beside them codes, consents and its signing key."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._access = {text: _access_token(doc) for text, doc in database.load(ACCESS).items()}
        self._refresh = database.load(REFRESH)
        self.codes = Codes()
        self.consents = Consents(database)

    @cached_property
    def key(self) -> SigningKey:
        return signing_key(self._database, "identity")

    def issue(self, account: str, app: str, scopes: frozenset[str], grant: Grant | None = None) -> Issued:
        """A new access token for the scopes and, with offline_access, a refresh token for the whole grant.

        Refreshing passes the grant it came from; the refresh token in use stays valid, as Microsoft's does.
        """
        now = self._clock.now()
        self._forget_expired(now)
        access = secrets.token_urlsafe(48)
        self._access[access] = AccessToken(account, app, scopes, now + ACCESS_LIFETIME)
        self._database.put(ACCESS, access, _access_document(self._access[access]))
        grant = grant or Grant(account, app, scopes)
        refresh = self._issue_refresh(grant, now) if "offline_access" in grant.scopes else None
        return Issued(access, refresh, scopes)

    def read(self, bearer: str) -> AccessToken | None:
        """The access token as it was given, or None if it is unknown, expired or revoked."""
        token = self._access.get(bearer)
        return token if token and token.expires_at > self._clock.now() else None

    def redeem(self, refresh_token: str, app: str) -> Grant:
        """The grant behind a refresh token. Raises Refused for one that is unknown, dead or another app's."""
        doc = self._refresh.get(refresh_token)
        now = self._clock.now()
        if doc is None or doc["app"] != app:
            raise Refused(70000, "Provided grant is invalid or malformed.")
        if doc["revoked"]:
            raise Refused(int(doc["revoked"]), _REVOKED[int(doc["revoked"])])
        if datetime.fromisoformat(doc["used_at"]) + REFRESH_LIFETIME <= now:
            raise Refused(700082, "The refresh token has expired due to inactivity.", suberror="token_expired")
        self._write_refresh(refresh_token, doc | {"used_at": now.isoformat()})
        return Grant(doc["account"], app, frozenset(doc["scopes"]))

    def revoke(self, account: str, *, personal: bool) -> None:
        """End every token of the account, as an administrator's or the user's own revocation does."""
        for text in [text for text, token in self._access.items() if token.account == account]:
            self._drop_access(text)
        for text, doc in list(self._refresh.items()):
            if doc["account"] == account:
                self._write_refresh(text, doc | {"revoked": 70000 if personal else 50173})

    def clear(self) -> None:
        """Forget every token, code and consent; the signing key stays."""
        for text in list(self._access):
            self._drop_access(text)
        for text in list(self._refresh):
            del self._refresh[text]
            self._database.delete(REFRESH, text)
        self.codes.clear()
        self.consents.clear()

    def _issue_refresh(self, grant: Grant, now: datetime) -> str:
        text = f"1.{secrets.token_urlsafe(96)}"
        doc = {"account": grant.account, "app": grant.app, "scopes": sorted(grant.scopes)}
        self._write_refresh(text, doc | {"used_at": now.isoformat(), "revoked": 0})
        return text

    def _write_refresh(self, text: str, doc: dict[str, Any]) -> None:
        self._refresh[text] = doc
        self._database.put(REFRESH, text, doc)

    def _forget_expired(self, now: datetime) -> None:
        for text in [text for text, token in self._access.items() if token.expires_at <= now]:
            self._drop_access(text)

    def _drop_access(self, text: str) -> None:
        del self._access[text]
        self._database.delete(ACCESS, text)


_REVOKED = {
    50173: "The provided grant has expired due to it being revoked, a fresh auth token is needed. "
    "The user might have changed or reset their password.",
    70000: "The user could not be authenticated as the grant is expired. The user must sign in again.",
}


def _access_token(doc: dict[str, Any]) -> AccessToken:
    expires_at = datetime.fromisoformat(doc["expires_at"])
    return AccessToken(doc["account"], doc["app"], frozenset(doc["scopes"]), expires_at)


def _access_document(token: AccessToken) -> dict[str, Any]:
    return {
        "account": token.account,
        "app": token.app,
        "scopes": sorted(token.scopes),
        "expires_at": token.expires_at.isoformat(),
    }
