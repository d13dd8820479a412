"""From a request to its answer: who asks, whether they may, what they want; shared by single requests and batches."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from outlook_sandbox.graph.errors import GraphError, access_denied, throttled, unauthenticated
from outlook_sandbox.graph.operations import Answer, Call, Operation, check, operations
from outlook_sandbox.graph.prefer import read_preferences
from outlook_sandbox.journal import Entry, kept

if TYPE_CHECKING:
    from outlook_sandbox.identity.tokens import AccessToken
    from outlook_sandbox.state import Sandbox

MOST_AT_ONCE = 4
JOURNALED_HEADERS = ("if-match", "prefer", "client-request-id", "user-agent", "traceparent")


@dataclass(slots=True)
class Request:
    """A request as it came; header names are in lower case, `path` starts with the version and is still encoded."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    base: str
    in_batch: bool = False


class Gate:
    """Exchange's limit: four requests at once per app and mailbox."""

    def __init__(self) -> None:
        self._running: Counter[tuple[str, str]] = Counter()

    def enter(self, key: tuple[str, str]) -> None:
        if self._running[key] >= MOST_AT_ONCE:
            raise throttled()
        self._running[key] += 1

    def leave(self, key: tuple[str, str]) -> None:
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]


async def respond(sandbox: "Sandbox", request: Request) -> Answer:
    """Answer one request; refusals become Graph's envelope, and all are written in the journal."""
    began = time.perf_counter()
    request_id = str(uuid.uuid4())
    client_request_id = request.headers.get("client-request-id", request_id)
    token: AccessToken | None = None
    try:
        token = authenticate(sandbox, request)
        answer = await perform(sandbox, request, token)
    except GraphError as refusal:
        envelope = refusal.envelope(sandbox.clock.now(), request_id, client_request_id)
        answer = Answer(refusal.status, envelope, refusal.headers)
    answer.headers = {"request-id": request_id, "client-request-id": client_request_id} | answer.headers
    headers = {name: request.headers[name] for name in JOURNALED_HEADERS if name in request.headers}
    entry = Entry(
        sandbox.journal.next_number(),
        sandbox.clock.now(),
        request.method,
        request.path,
        request.query,
        answer.status,
        round((time.perf_counter() - began) * 1000, 3),
        token.account if token else None,
        token.app if token else None,
        headers,
        kept(request.body),
        request.in_batch,
    )
    sandbox.journal.add(entry)
    return answer


def authenticate(sandbox: "Sandbox", request: Request) -> "AccessToken":
    kind, _, bearer = request.headers.get("authorization", "").partition(" ")
    if kind.casefold() != "bearer" or not bearer:
        raise unauthenticated("Access token is empty.")
    token = sandbox.tokens.read(bearer.strip())
    if token is None or token.expires_at <= sandbox.clock.now():
        raise unauthenticated("Access token has expired or is not yet valid.")
    return token


async def perform(sandbox: "Sandbox", request: Request, token: "AccessToken") -> Answer:
    account = sandbox.accounts.get(token.account)
    if account is None:
        raise unauthenticated("The identity of the calling application or user could not be established.")
    segments = [unquote(segment) for segment in request.path.rstrip("/").split("/")[2:]]
    if segments[0] == "users" and len(segments) > 1:
        if segments[1].casefold() not in (account.id, account.username.casefold()):
            raise access_denied()
        segments = ["me", *segments[2:]]
    operation, names = operations.find(request.method, segments)
    call = Call(
        sandbox,
        request.method,
        request.path,
        dict(parse_qsl(request.query, keep_blank_values=True)),
        request.headers,
        request.body,
        request.base,
        token,
        sandbox.mailboxes.of(account),
        read_preferences(request.headers.get("prefer", "")),
        segments,
        names,
    )
    check(operation, call)
    if segments[0] != "me":
        return await _work(operation, call)
    key = (token.app, token.account)
    sandbox.gate.enter(key)
    try:
        if sandbox.settings.latency_ms:
            await asyncio.sleep(sandbox.settings.latency_ms / 1000)
        return await _work(operation, call)
    finally:
        sandbox.gate.leave(key)


async def _work(operation: Operation, call: Call) -> Answer:
    answer = operation.work(call)
    return answer if isinstance(answer, Answer) else await answer
