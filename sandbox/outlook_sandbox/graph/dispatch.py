"""From a request to its answer: who asks, whether they may, what they want; shared by single requests and batches."""

import asyncio
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from outlook_sandbox.graph.errors import GraphError, access_denied, bad_request, challenged, unauthenticated
from outlook_sandbox.graph.operations import Answer, Call, Operation, check, operations
from outlook_sandbox.graph.prefer import read_preferences
from outlook_sandbox.graph.trouble import Trouble
from outlook_sandbox.journal import NO_ANSWER, Entry, kept

if TYPE_CHECKING:
    from outlook_sandbox.identity.tokens import AccessToken
    from outlook_sandbox.state import Sandbox

JOURNALED_HEADERS = ("if-match", "prefer", "client-request-id", "user-agent", "traceparent")


@dataclass(slots=True)
class Request:
    """A request as it came; header names are in lower case, `path` starts with the version and is still encoded.

    `refused` is what was found wrong with it when it was read; `token` its bearer's, once that is known.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    base: str
    in_batch: bool = False
    refused: GraphError | None = None
    token: "AccessToken | None" = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def client_id(self) -> str:
        """The client's own id of the request; if it gave none, Graph's."""
        return self.headers.get("client-request-id", self.id)


async def respond(sandbox: "Sandbox", request: Request) -> Answer:
    """Answer one request and write it in the journal. Raises ConnectionCut where a fault wants no answer at all."""
    began = time.perf_counter()
    status = NO_ANSWER
    try:
        answer = await _answer(sandbox, request)
        status = answer.status
        return answer
    finally:
        took = round((time.perf_counter() - began) * 1000, 3)
        sandbox.journal.add(_entry(sandbox, request, status, took))


async def _answer(sandbox: "Sandbox", request: Request) -> Answer:
    """What Graph answers, or what becomes of that; refusals have Graph's envelope."""
    trouble: Trouble | None = None
    try:
        if request.refused is not None:
            raise request.refused
        token = request.token = authenticate(sandbox, request)
        operation, call = _understand(sandbox, request, token)
        if sandbox.faults:
            path = "/" + "/".join(call.segments)
            trouble = Trouble(sandbox.faults, sandbox.clock, token.account, token.app, request.method, path, request.in_batch)
        answer = await _perform(operation, call, trouble)
    except GraphError as refusal:
        envelope = refusal.envelope(sandbox.clock.now(), request.id, request.client_id)
        answer = Answer(refusal.status, envelope, refusal.headers)
    return answer if trouble is None else trouble.spoiled(answer)


def authenticate(sandbox: "Sandbox", request: Request) -> "AccessToken":
    kind, _, bearer = request.headers.get("authorization", "").partition(" ")
    if kind.casefold() != "bearer" or not bearer:
        raise unauthenticated("Access token is empty.")
    token = sandbox.tokens.read(bearer.strip())
    if token is None:
        raise unauthenticated("Access token has expired or is not yet valid.")
    claims = sandbox.tokens.challenge_for(token)
    if claims is not None:
        raise challenged(claims)
    return token


def _understand(sandbox: "Sandbox", request: Request, token: "AccessToken") -> tuple[Operation, Call]:
    account = sandbox.accounts.get(token.account)
    if account is None:
        raise unauthenticated("The identity of the calling application or user could not be established.")
    version, *path = [unquote(segment) for segment in request.path.strip("/").split("/")]
    if len(path) > 1 and path[0].casefold() == "users":
        if path[1].casefold() not in (account.id, account.username.casefold()):
            raise access_denied()
        path = ["me", *path[2:]]
    operation, segments, names = operations.find(version, request.method, path)
    call = Call(
        sandbox,
        request.method,
        request.path,
        _query(request.query),
        request.headers,
        request.body,
        request.base,
        token,
        sandbox.mailboxes.of(account),
        read_preferences(request.headers.get("prefer", "")),
        segments,
        names,
        request.in_batch,
    )
    check(operation, call)
    return operation, call


def _query(text: str) -> dict[str, str]:
    options = parse_qsl(text, keep_blank_values=True)
    query = dict(options)
    if len(query) < len(options):
        names = [name for name, _ in options]
        name = next(name for name in names if names.count(name) > 1)
        raise bad_request(f"Query option '{name}' was specified more than once, but it must be specified at most once.")
    return query


async def _perform(operation: Operation, call: Call, trouble: Trouble | None) -> Answer:
    """Have the work done, as far as limits and faults allow."""
    limits, token, now = call.sandbox.limits, call.token, call.sandbox.clock.now().timestamp()
    if call.segments[0] == "subscriptions":
        tenant = call.mailbox.account.tid
        limits.count_subscription_request(call.method, call.segments, token.app, tenant, now)
    if call.segments[0] != "me":
        return await _work(operation, call, trouble)
    limits.enter(token.app, token.account, now)
    try:
        if call.sandbox.settings.latency_ms:
            await asyncio.sleep(call.sandbox.settings.latency_ms / 1000)
        elif call.in_batch:
            # The others of the batch that may run at once begin while this one has its place.
            await asyncio.sleep(0)
        answer = await _work(operation, call, trouble)
    finally:
        limits.leave(token.app, token.account)
    if call.preferences.applied and answer.status < 300:
        answer.headers.setdefault("Preference-Applied", ", ".join(call.preferences.applied))
    return answer


async def _work(operation: Operation, call: Call, trouble: Trouble | None = None) -> Answer:
    if trouble is not None:
        return await trouble.strike(lambda: _work(operation, call))
    answer = operation.work(call)
    return answer if isinstance(answer, Answer) else await answer


def _entry(sandbox: "Sandbox", request: Request, status: int, took_ms: float) -> Entry:
    return Entry(
        sandbox.journal.next_number(),
        sandbox.clock.now(),
        request.method,
        request.path,
        request.query,
        status,
        took_ms,
        request.token.account if request.token else None,
        request.token.app if request.token else None,
        {name: request.headers[name] for name in JOURNALED_HEADERS if name in request.headers},
        kept(request.body),
        request.in_batch,
    )
