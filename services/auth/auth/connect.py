"""Connecting a Microsoft account, new or again: from the authorize URL to a stored connection, or to a kind sentence why not."""

import hmac
from dataclasses import dataclass
from typing import Literal

import msgspec
import structlog
from pymongo.errors import DuplicateKeyError

from auth.connections import Connections
from auth.flows import Flow, Flows
from auth.id_token import Untrusted
from auth.microsoft import Microsoft, SignedIn
from auth.profile import NoMailbox, Profiles
from auth.refusals import AppMisconfigured, Declined, failure_of
from common import telemetry
from common.errors import AdminConsentNeeded, AttendaraError, NotFound, ReconnectNeeded, Transient
from common.runner import Clock, utc_now
from common.store import Connection

log = structlog.get_logger()

SAVE_ATTEMPTS = 5

Ending = Literal[
    "accepted",
    "declined",
    "wrong-account",
    "admin-consent-needed",
    "expired",
    "mismatch",
    "no-mailbox",
    "microsoft-away",
    "app-misconfigured",
]

SENTENCES: dict[Ending, str] = {
    "accepted": "Your Microsoft account is connected.",
    "declined": "Access was not given at Microsoft's page, so nothing was connected. You can try again at any time.",
    "wrong-account": "You signed in with another Microsoft account. Please sign in with the one that is to be reconnected.",
    "admin-consent-needed": "Your organization's Microsoft administrator must approve Attendara before you can connect.",
    "expired": "This sign-in took too long or was used already. Please start again.",
    "mismatch": "This sign-in was begun in another browser or session, so nothing was connected. Please start again.",
    "no-mailbox": "This Microsoft account has no Outlook calendar that we can reach. Please choose another account.",
    "microsoft-away": "Microsoft did not answer as it should. Please try again in a few minutes.",
    "app-misconfigured": "Connecting is out of order on our side, and not because of you. Our operators must mend it.",
}
REMOVED = "This account was removed from Attendara meanwhile, so it was not connected again."
ALREADY_CONNECTED = "This Microsoft account is connected already, and its connection has been refreshed."


class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """Who is at it: all four must be the same when Microsoft sends the browser back."""

    organization: str
    user: str
    session: str
    binding: str


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    flow: str
    authorize_url: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    outcome: Ending
    connection: str | None = None
    existing: bool = False
    message: str
    return_to: str | None = None


class _WrongAccount(AttendaraError):
    pass


@dataclass
class Connect:
    microsoft: Microsoft
    profiles: Profiles
    flows: Flows
    connections: Connections
    clock: Clock = utc_now

    async def begin(self, asker: Asker, *, return_to: str | None, connection: str | None) -> Begun:
        """Raises NotFound for a connection that isn't there, Transient when Redis or Microsoft is away."""
        hint = (await self._to_reconnect(asker.organization, connection)).username if connection else None
        begun = await self.microsoft.begin(login_hint=hint)
        flow = Flow(**msgspec.structs.asdict(asker), return_to=return_to, connection=connection, microsoft=begun)
        await self.flows.keep(begun["state"], flow)
        return Begun(flow=begun["state"], authorize_url=begun["auth_uri"])

    async def finish(self, asker: Asker, query: dict[str, str]) -> Outcome:
        """However it ends is an outcome. Raises Transient only when Redis or MongoDB is away."""
        flow = await self.flows.take(query.get("state", ""))
        if flow is None:
            return _outcome("expired", None)
        if not _same(asker, flow):
            return _outcome("mismatch", None)
        try:
            outcome = await self._redeem(flow, query)
        except AttendaraError as error:
            outcome = _outcome(_ending(error), flow, REMOVED if isinstance(error, NotFound) else None)
            log.warning("connect did not succeed", organization=flow.organization, outcome=outcome.outcome, error=str(error))
        telemetry.count("connects_finished", outcome=outcome.outcome)
        return outcome

    async def _redeem(self, flow: Flow, query: dict[str, str]) -> Outcome:
        if "error" in query:
            raise failure_of(query)
        signed_in = await self.microsoft.redeem(flow.microsoft, query)
        address = await self.profiles.address_of(signed_in.token)
        if flow.connection:
            known = await self._to_reconnect(flow.organization, flow.connection)
            if (known.tid, known.oid) != (signed_in.identity.tid, signed_in.identity.oid):
                raise _WrongAccount("another account signed in")
        username = signed_in.identity.username or address or signed_in.identity.oid
        connection, existing = await self._save(flow, signed_in, username)
        await self.connections.announce(connection)
        message = ALREADY_CONNECTED if existing and not flow.connection else SENTENCES["accepted"]
        return Outcome(outcome="accepted", connection=connection, existing=existing, message=message, return_to=flow.return_to)

    async def _to_reconnect(self, organization: str, connection_id: str) -> Connection:
        connection = await self.connections.find(organization, connection_id)
        if connection.state == "removing":
            raise NotFound("this connection is being removed")
        return connection

    async def _save(self, flow: Flow, signed_in: SignedIn, username: str) -> tuple[str, bool]:
        """The same account twice is the same connection; a refresh or another sign-in at the same time is overtaken."""
        organization, identity, cache, who = flow.organization, signed_in.identity, signed_in.cache, flow.user
        for _ in range(SAVE_ATTEMPTS):
            seen = await self.connections.of_account(organization, identity)
            if seen is None:
                try:
                    return await self.connections.add(organization, identity, username, cache, self.clock(), who=who), False
                except DuplicateKeyError:
                    continue
            if await self.connections.renew(seen, cache, username, self.clock(), who=who):
                return seen.connection.id, True
        raise Transient("the connection kept changing")


def _same(asker: Asker, flow: Flow) -> bool:
    pairs = [
        (asker.organization, flow.organization),
        (asker.user, flow.user),
        (asker.session, flow.session),
        (asker.binding, flow.binding),
    ]
    return all([hmac.compare_digest(shown.encode(), kept.encode()) for shown, kept in pairs])


def _ending(error: AttendaraError) -> Ending:
    match error:
        case _WrongAccount():
            return "wrong-account"
        case Declined():
            return "declined"
        case AdminConsentNeeded():
            return "admin-consent-needed"
        case NoMailbox():
            return "no-mailbox"
        case AppMisconfigured():
            return "app-misconfigured"
        case Untrusted():
            return "mismatch"
        case ReconnectNeeded() | NotFound():  # the code is used or too old; the connection was removed meanwhile
            return "expired"
    return "microsoft-away"


def _outcome(ending: Ending, flow: Flow | None, message: str | None = None) -> Outcome:
    return Outcome(
        outcome=ending,
        connection=flow.connection if flow else None,
        message=message or SENTENCES[ending],
        return_to=flow.return_to if flow else None,
    )
