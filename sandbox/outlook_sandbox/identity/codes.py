"""Authorization codes: one use, ten minutes. They are kept in memory only: a restart ends those on their way."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from outlook_sandbox.identity.claims import Claims
from outlook_sandbox.identity.errors import Refused

LIFETIME = timedelta(minutes=10)
REMEMBERED = timedelta(days=1)


@dataclass(frozen=True)
class Code:
    """What was agreed when the code was given, to be compared with what comes to redeem it."""

    account: str
    app: str
    tenant: str
    redirect_uri: str
    scopes: frozenset[str]
    nonce: str | None
    challenge: str | None
    challenge_method: str
    claims: Claims


@dataclass
class _Given:
    code: Code
    at: datetime
    redeemed: bool = False


class Codes:
    """The codes given lately; used ones are remembered for a day, so that a second use is told from nonsense."""

    def __init__(self) -> None:
        self._given: dict[str, _Given] = {}

    def give(self, code: Code, now: datetime) -> str:
        self._forget(now)
        text = f"1.{secrets.token_urlsafe(64)}"
        self._given[text] = _Given(code, now)
        return text

    def take(self, text: str, now: datetime) -> Code:
        """Use a code up. Raises Refused for one that is unknown, too old or used before."""
        given = self._given.get(text)
        if given is None:
            raise Refused(70000, "The provided value for the 'code' parameter is not valid.")
        if given.redeemed:
            raise Refused(54005)
        if given.at + LIFETIME <= now:
            raise Refused(70008)
        given.redeemed = True
        return given.code

    def owner_of(self, text: str) -> str | None:
        """Who signed in for a code, used or not."""
        given = self._given.get(text)
        return given.code.account if given else None

    def clear(self) -> None:
        self._given.clear()

    def _forget(self, now: datetime) -> None:
        """The oldest stand first; a clock that was put back leaves some there a little longer."""
        while self._given:
            oldest = next(iter(self._given))
            if now < self._given[oldest].at + REMEMBERED:
                return
            del self._given[oldest]
