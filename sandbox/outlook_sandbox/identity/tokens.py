"""Access and refresh tokens: opaque strings, kept in the sandbox's database so that a restart signs nobody out."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import msgspec

from outlook_sandbox.accounts import Account
from outlook_sandbox.clock import Clock
from outlook_sandbox.database import Database
from outlook_sandbox.identity.claims import challenge
from outlook_sandbox.identity.codes import Codes
from outlook_sandbox.identity.consents import Consents
from outlook_sandbox.identity.errors import Refused
from outlook_sandbox.identity.keys import SigningKey, signing_key

ACCESS = "access-token"
REFRESH = "refresh-token"
CHALLENGE = "challenge"
ACCESS_LIFETIME = timedelta(seconds=3599)
CP1_LIFETIME = timedelta(hours=24)
REFRESH_LIFETIME = timedelta(days=90)
SWEEP_EVERY = timedelta(minutes=10)
LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Grant(msgspec.Struct, frozen=True):
    """What a refresh token stands for: an account's consent to an app, with the scopes it was first given.

    `proved_at` is when the account last signed in for it, or a refresh met a claims challenge.
    """

    account: str
    app: str
    scopes: frozenset[str]
    proved_at: datetime = LONG_AGO


class AccessToken(msgspec.Struct, frozen=True):
    """What a bearer may do: the account (its oid) it acts for, the app (client id) it was given to, and the scopes."""

    account: str
    app: str
    scopes: frozenset[str]
    expires_at: datetime
    cp1: bool = False
    proved_at: datetime = LONG_AGO


class RefreshToken(Grant, frozen=True):
    """A grant, when this token for it was issued and last used, and the AADSTS number for which it is dead."""

    issued_at: datetime = LONG_AGO
    used_at: datetime = LONG_AGO
    revoked: int = 0
    revoked_at: datetime = LONG_AGO

    def grant(self, proved_at: datetime) -> Grant:
        return Grant(self.account, self.app, self.scopes, proved_at)


@dataclass(frozen=True)
class Issued:
    """`expires_in` seconds is how long the access token lives."""

    access_token: str
    refresh_token: str | None
    scopes: frozenset[str]
    expires_in: int


class Tokens:
    """What the identity platform has given out: tokens, and beside them codes, consents and its signing key."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._access = {text: msgspec.convert(doc, AccessToken) for text, doc in database.load(ACCESS).items()}
        self._refresh = {text: msgspec.convert(doc, RefreshToken) for text, doc in database.load(REFRESH).items()}
        self._challenges = {account: datetime.fromisoformat(doc["at"]) for account, doc in database.load(CHALLENGE).items()}
        self._swept_at = LONG_AGO
        self.codes = Codes()
        self.consents = Consents(database)

    @cached_property
    def key(self) -> SigningKey:
        return signing_key(self._database, "identity")

    def issue(self, account: str, app: str, scopes: frozenset[str], grant: Grant | None = None, *, cp1: bool = False) -> Issued:
        """A new access token for the scopes and, with offline_access, a refresh token for the whole grant.

        Refreshing passes the grant it came from; the refresh token in use stays valid, as Microsoft's does. The access token
        of a client that handles claims challenges (`cp1`) lives for a day.
        """
        now = self._clock.now()
        self._sweep(now)
        grant = grant or Grant(account, app, scopes, now)
        lifetime = CP1_LIFETIME if cp1 else ACCESS_LIFETIME
        access = secrets.token_urlsafe(48)
        self._access[access] = AccessToken(account, app, scopes, now + lifetime, cp1, grant.proved_at)
        self._database.put(ACCESS, access, self._access[access])
        refresh = None
        if "offline_access" in grant.scopes:
            refresh = f"1.{secrets.token_urlsafe(96)}"
            self._keep(refresh, RefreshToken(grant.account, grant.app, grant.scopes, grant.proved_at, now, now))
        return Issued(access, refresh, scopes, int(lifetime.total_seconds()))

    def read(self, bearer: str) -> AccessToken | None:
        """The access token as it was given, or None if it is unknown or expired."""
        token = self._access.get(bearer)
        return token if token and token.expires_at > self._clock.now() else None

    def redeem(self, refresh_token: str, app: str, not_before: int = 0) -> Grant:
        """The grant behind a refresh token. Raises Refused for one that is unknown, dead or another app's.

        `not_before` is what the request's claims say: it proves the grant if a challenge asked for it.
        """
        token = self._refresh.get(refresh_token)
        now = self._clock.now()
        if token is None or token.app != app:
            raise Refused(70000, "Provided grant is invalid or malformed.")
        if token.revoked:
            raise Refused(token.revoked, issued=_stamp(token.issued_at), now=_stamp(token.revoked_at))
        if token.used_at + REFRESH_LIFETIME <= now:
            raise Refused(700082, issued=_stamp(token.issued_at))
        self._keep(refresh_token, msgspec.structs.replace(token, used_at=now))
        challenged_at = self._challenges.get(token.account)
        if challenged_at and not_before >= int(challenged_at.timestamp()):
            return token.grant(proved_at=now)
        return token.grant(token.proved_at)

    def owner_of(self, refresh_token: str) -> str | None:
        """Whose refresh token it is, dead or not."""
        token = self._refresh.get(refresh_token)
        return token.account if token else None

    def revoke(self, account: Account, *, at_once: bool = False) -> None:
        """End the account's refresh tokens, as an administrator's reset of its password or a revocation does.

        Access tokens live on until they expire, as Microsoft's do, those of cp1 clients until Graph's next answer, which is
        a challenge. With `at_once`, all are gone.
        """
        now = self._clock.now()
        for text, token in list(self._refresh.items()):
            if token.account == account.id:
                number = 70000 if account.kind == "personal" else 50173
                self._keep(text, msgspec.structs.replace(token, revoked=number, revoked_at=now))
        self.challenge(account.id)
        if at_once:
            self._drop_access_of(account.id)

    def forget(self, account: str) -> None:
        """The account is gone, with its access tokens and consents; refreshing is answered with AADSTS50034 from now on."""
        self._drop_access_of(account)
        self.consents.forget(account)

    def challenge(self, account: str) -> None:
        """From now on Graph answers the account's cp1 tokens with a claims challenge: each grant's until it was signed in for
        again, or refreshed with the claims of the challenge."""
        self._challenge_since(account, self._clock.now())

    def challenge_for(self, token: AccessToken) -> str | None:
        """The `claims` with which Graph challenges the token, in base64, or None if it is good."""
        at = self._challenges.get(token.account) if token.cp1 else None
        return challenge(at) if at and token.proved_at <= at else None

    def time_went_back(self, before: datetime) -> None:
        """What had ended by the time that it was before stays ended; nothing was given, used or proved later than now."""
        now = self._clock.now()
        for text, token in list(self._access.items()):
            if token.expires_at <= before:
                self._drop_access(text)
                continue
            expires = min(token.expires_at, now + (CP1_LIFETIME if token.cp1 else ACCESS_LIFETIME))
            self._access[text] = msgspec.structs.replace(token, expires_at=expires, proved_at=min(token.proved_at, now))
            self._database.put(ACCESS, text, self._access[text])
        for text, kept in self._refresh.items():
            dead = kept.revoked or (700082 if kept.used_at + REFRESH_LIFETIME <= before else 0)
            times = {"used_at": min(kept.used_at, now), "proved_at": min(kept.proved_at, now)}
            self._keep(text, msgspec.structs.replace(kept, revoked=dead, **times))
        for account, at in self._challenges.items():
            self._challenge_since(account, min(at, now))

    def clear(self) -> None:
        """Forget every token, code and consent; the signing key stays."""
        self._access.clear()
        self._refresh.clear()
        self._challenges.clear()
        for kind in (ACCESS, REFRESH, CHALLENGE):
            self._database.clear(kind)
        self.codes.clear()
        self.consents.clear()

    def _challenge_since(self, account: str, at: datetime) -> None:
        self._challenges[account] = at
        self._database.put(CHALLENGE, account, {"at": at.isoformat()})

    def _keep(self, text: str, token: RefreshToken) -> None:
        self._refresh[text] = token
        self._database.put(REFRESH, text, token)

    def _sweep(self, now: datetime) -> None:
        """Forget access tokens that have expired, and refresh tokens that ended so long ago that nobody asks how."""
        if abs(now - self._swept_at) < SWEEP_EVERY:
            return
        self._swept_at = now
        for text in [text for text, token in self._access.items() if token.expires_at <= now]:
            self._drop_access(text)
        for text in [text for text, token in self._refresh.items() if token.used_at + 2 * REFRESH_LIFETIME <= now]:
            del self._refresh[text]
            self._database.delete(REFRESH, text)

    def _drop_access_of(self, account: str) -> None:
        for text in [text for text, token in self._access.items() if token.account == account]:
            self._drop_access(text)

    def _drop_access(self, text: str) -> None:
        del self._access[text]
        self._database.delete(ACCESS, text)


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"
