"""Connecting a Microsoft account, new or again: from the authorize URL to a stored connection, or to a kind sentence why not."""

import hmac
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from pymongo.errors import DuplicateKeyError

from auth.connections import Connections
from auth.endings import ACCEPTED, ALREADY_CONNECTED, EXPIRED, MISMATCH, Ending, Outcome, WrongAccount, ending_of
from auth.flows import Flow, Flows
from auth.microsoft import Microsoft, SignedIn
from auth.profile import Profiles
from auth.refusals import failure_of
from common import telemetry
from common.errors import AttendaraError, NotFound, Transient
from common.runner import Clock, utc_now
from common.store import Connection

log = structlog.get_logger()

SAVE_ATTEMPTS = 5


class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """Who is at it: all four must be the same when Microsoft sends the browser back."""

    organization: str
    user: str
    session: str
    binding: str


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    flow: str
    authorize_url: str


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """`admin_consent_url`: for the administrator who must approve first."""

    outcome: Outcome
    connection: str | None = None
    existing: bool = False
    message: str
    next_step: str
    admin_consent_url: str | None = None
    return_to: str | None = None


@dataclass
class Connect:
    microsoft: Microsoft
    profiles: Profiles
    flows: Flows
    connections: Connections
    clock: Clock = utc_now

    async def begin(self, asker: Asker, *, return_to: str | None, connection: str | None) -> Begun:
        """Raises NotFound for a connection that isn't there, Transient when Redis or Microsoft is away."""
        known = await self._to_reconnect(asker.organization, connection) if connection else None
        if known:
            begun = await self.microsoft.begin(login_hint=known.username, claims=await self.connections.claims(known.id))
        else:
            begun = await self.microsoft.begin(login_hint=None)
        tenant = known.tid if known else None
        whose = msgspec.structs.asdict(asker)
        flow = Flow(**whose, return_to=return_to, connection=connection, tenant=tenant, microsoft=begun)
        await self.flows.keep(begun["state"], flow)
        return Begun(flow=begun["state"], authorize_url=begun["auth_uri"])

    async def admin_consent_url(self, organization: str, connection: str) -> str:
        """For the administrator of the account's tenant. Raises NotFound, Transient when Microsoft is away."""
        known = await self._to_reconnect(organization, connection)
        return self.microsoft.admin_consent_url(await self.microsoft.begin(login_hint=None), known.tid)

    async def finish(self, asker: Asker, query: dict[str, str]) -> Finished:
        """However it ends is an outcome. Raises Transient only when Redis or MongoDB is away."""
        flow = await self.flows.take(query.get("state", ""))
        if flow is None:
            return _finished(EXPIRED)
        if not _same(asker, flow):
            return _finished(MISMATCH)
        try:
            finished = await self._redeem(flow, query)
        except AttendaraError as error:
            finished = self._ended(flow, error)
            log.warning("connect did not succeed", organization=flow.organization, outcome=finished.outcome, error=str(error))
        telemetry.count("connects_finished", outcome=finished.outcome)
        return finished

    def _ended(self, flow: Flow, error: AttendaraError) -> Finished:
        ending = ending_of(error)
        link = self.microsoft.admin_consent_url(flow.microsoft, flow.tenant) if ending.outcome == "admin-consent-needed" else None
        return _finished(ending, connection=flow.connection, return_to=flow.return_to, admin_consent_url=link)

    async def _redeem(self, flow: Flow, query: dict[str, str]) -> Finished:
        if "error" in query:
            raise failure_of(query)
        signed_in = await self.microsoft.redeem(flow.microsoft, query)
        if flow.connection:
            known = await self._to_reconnect(flow.organization, flow.connection)
            if (known.tid, known.oid) != (signed_in.identity.tid, signed_in.identity.oid):
                raise WrongAccount("another account signed in")
        address = await self.profiles.address_of(signed_in.token)
        username = signed_in.identity.username or address or signed_in.identity.oid
        connection, existing = await self._save(flow, signed_in, username)
        await self.connections.announce(connection)
        ending = ALREADY_CONNECTED if existing and not flow.connection else ACCEPTED
        return _finished(ending, connection=connection, existing=existing, return_to=flow.return_to)

    async def _to_reconnect(self, organization: str, connection_id: str) -> Connection:
        connection = await self.connections.find(organization, connection_id)
        if connection.state == "removing":
            raise NotFound("this connection is being removed")
        return connection

    async def _save(self, flow: Flow, signed_in: SignedIn, username: str) -> tuple[str, bool]:
        """The same account twice is the same connection; a refresh or another sign-in at the same time is overtaken."""
        organization, identity, cache = flow.organization, signed_in.identity, signed_in.cache
        who, scopes = flow.user, signed_in.scopes
        for _ in range(SAVE_ATTEMPTS):
            seen = await self.connections.of_account(organization, identity)
            if flow.connection and (seen is None or seen.connection.id != flow.connection):
                raise NotFound("this connection was removed")
            if seen is None:
                try:
                    now = self.clock()
                    added = await self.connections.add(organization, identity, username, cache, now, who=who, scopes=scopes)
                    return added, False
                except DuplicateKeyError:
                    continue
            if await self.connections.renew(seen, cache, username, self.clock(), who=who, scopes=scopes):
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


def _finished(ending: Ending, **more: Any) -> Finished:
    return Finished(outcome=ending.outcome, message=ending.message, next_step=ending.next_step, **more)
