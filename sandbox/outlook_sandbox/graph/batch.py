"""`POST /$batch`: up to twenty requests in one, each answered for itself."""

import asyncio
from typing import Any

import msgspec

from outlook_sandbox.graph.dispatch import Request, respond
from outlook_sandbox.graph.errors import bad_request
from outlook_sandbox.graph.operations import ANY_SCOPE, Answer, Call, operations

MOST_REQUESTS = 20
MOST_AT_ONCE = 4


class Step(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """One request of a batch."""

    id: str
    method: str
    url: str
    headers: dict[str, str] = {}
    body: Any = None
    depends_on: list[str] = []


class Steps(msgspec.Struct, forbid_unknown_fields=True):
    requests: list[Step]


@operations.on("POST", "/$batch", scopes=ANY_SCOPE)
async def batch(call: Call) -> Answer:
    """Steps run four at a time; one that depends on another waits for it, and is 424 if that failed."""
    steps = _read(call)
    slots = asyncio.Semaphore(MOST_AT_ONCE)
    running: dict[str, asyncio.Task[dict[str, Any]]] = {}
    async with asyncio.TaskGroup() as group:
        for step in steps:
            before = [running[name] for name in step.depends_on]
            running[step.id] = group.create_task(_run(call, step, before, slots))
    return Answer(200, {"responses": [task.result() for task in running.values()]})


async def _run(call: Call, step: Step, before: list[asyncio.Task[dict[str, Any]]], slots: asyncio.Semaphore) -> dict[str, Any]:
    if any(earlier["status"] >= 400 for earlier in await asyncio.gather(*before)):
        failed = {"error": {"code": "FailedDependency", "message": "A request that this one depends on has failed."}}
        return {"id": step.id, "status": 424, "headers": {"Content-Type": "application/json"}, "body": failed}
    headers = {name.casefold(): value for name, value in step.headers.items()}
    headers["authorization"] = call.headers.get("authorization", "")
    path, _, query = step.url.partition("?")
    body = b"" if step.body is None else msgspec.json.encode(step.body)
    request = Request(step.method.upper(), f"/v1.0/{path.lstrip('/')}", query, headers, body, call.base, in_batch=True)
    async with slots:
        answer = await respond(call.sandbox, request)
    shown: dict[str, Any] = {"id": step.id, "status": answer.status, "headers": answer.headers}
    if answer.body is not None:
        shown["headers"] = {"Content-Type": "application/json"} | answer.headers
        shown["body"] = answer.body
    return shown


def _read(call: Call) -> list[Step]:
    try:
        steps = msgspec.json.decode(call.body, type=Steps).requests
    except msgspec.DecodeError as reason:
        raise bad_request(f"Invalid batch payload format: {reason}") from reason
    if not 1 <= len(steps) <= MOST_REQUESTS:
        raise bad_request(f"Number of batch request steps must be from 1 to {MOST_REQUESTS}.")
    known: set[str] = set()
    for step in steps:
        if step.id in known:
            raise bad_request(f"Request Id '{step.id}' has to be unique in a batch.")
        if not known.issuperset(step.depends_on):
            raise bad_request(f"Request Id '{step.id}' depends on a request that does not come before it.")
        if step.url.startswith(("http:", "https:")) or step.url.lstrip("/").startswith("$batch"):
            raise bad_request(f"Invalid url '{step.url}': it has to be relative, and no batch.")
        if step.body is not None and "content-type" not in (name.casefold() for name in step.headers):
            raise bad_request(f"Request Id '{step.id}' has a body and needs a Content-Type header.")
        known.add(step.id)
    return steps
