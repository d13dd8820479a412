"""`POST /$batch`: up to twenty requests in one, each answered for itself."""

import asyncio
import random
from itertools import pairwise
from typing import Any

import msgspec

from outlook_sandbox.faults import BatchUnpaced
from outlook_sandbox.graph.dispatch import Request, respond
from outlook_sandbox.graph.errors import bad_request
from outlook_sandbox.graph.limits import MOST_AT_ONCE
from outlook_sandbox.graph.operations import ANY_SCOPE, Answer, Call, operations, read_json

MOST_REQUESTS = 20
WRITES = frozenset(("PATCH", "POST", "PUT"))


class Step(msgspec.Struct, rename="camel"):
    """One request of a batch."""

    id: str
    method: str
    url: str
    headers: dict[str, str] | None = None
    body: Any = None
    depends_on: list[str] | None = None

    @property
    def name(self) -> str:
        """Ids differ by more than upper and lower case."""
        return self.id.casefold()

    @property
    def after(self) -> list[str]:
        return [name.casefold() for name in self.depends_on or ()]

    @property
    def low_headers(self) -> dict[str, str]:
        return {name.casefold(): value for name, value in (self.headers or {}).items()}


class Steps(msgspec.Struct):
    requests: list[Step]


@operations.on("POST", "/$batch", scopes=ANY_SCOPE)
async def batch(call: Call) -> Answer:
    """Steps run four at a time; one that depends on another waits for it, and is 424 if that failed."""
    steps = _read(call)
    unpaced = call.sandbox.faults and call.sandbox.faults.strike(BatchUnpaced, call.token.account)
    places = asyncio.Semaphore(MOST_REQUESTS if unpaced else MOST_AT_ONCE)
    running: dict[str, asyncio.Task[dict[str, Any]]] = {}
    async with asyncio.TaskGroup() as group:
        for step in _first_ones_first(steps):
            before = [running[name] for name in step.after]
            running[step.name] = group.create_task(_run(call, step, before, places))
    return Answer(200, {"responses": _mixed([running[step.name].result() for step in steps], call.body)})


async def _run(call: Call, step: Step, before: list[asyncio.Task[dict[str, Any]]], places: asyncio.Semaphore) -> dict[str, Any]:
    if any(earlier["status"] >= 400 for earlier in await asyncio.gather(*before)):
        answer = Answer(424, {"error": {"code": "FailedDependency", "message": "Request failed as dependent request failed"}})
    else:
        async with places:
            answer = await respond(call.sandbox, _request(call, step))
    shown = {} if answer.body is None else {"Content-Type": "application/json"}
    return {"id": step.id, "status": answer.status, "headers": shown | answer.headers, "body": answer.body}


def _request(call: Call, step: Step) -> Request:
    path, _, query = step.url.partition("?")
    headers = step.low_headers | {"authorization": call.headers.get("authorization", "")}
    body = b"" if step.body is None else msgspec.json.encode(step.body)
    return Request(step.method.upper(), f"/v1.0/{path.lstrip('/')}", query, headers, body, call.base, in_batch=True)


def _read(call: Call) -> list[Step]:
    steps = read_json(call.body, Steps).requests
    if not steps:
        raise bad_request("Invalid batch payload format.")
    if len(steps) > MOST_REQUESTS:
        raise bad_request(f"Number of requests inside batch exceed the limit of {MOST_REQUESTS}.")
    known: set[str] = set()
    for step in steps:
        if step.name in known:
            raise bad_request(f"Request Id {step.id} has to be unique in a batch.")
        known.add(step.name)
        # Microsoft's SDK for Python writes whole addresses.
        step.url = step.url.removeprefix(f"{call.base}/v1.0/")
        if "://" in step.url.partition("?")[0] or step.url.lstrip("/").startswith("$batch"):
            raise bad_request(f"Request Id {step.id} needs a relative url that is no batch.")
        whole = step.body is not None and "content-type" in step.low_headers
        if not whole and (step.method.upper() in WRITES or step.body is not None):
            raise bad_request(f"Write request id : {step.id} does not contain Content-Type header or body.")
    _check_order(steps)
    return steps


def _check_order(steps: list[Step]) -> None:
    """Graph runs the requests of a batch all beside each other, one after the other, or all after the same one; and, as in
    its documentation's own example, others beside those."""
    free = [step.name for step in steps if not step.after]
    waiting = [step for step in steps if step.after]
    begins = not waiting or (len(waiting[0].after) == 1 and waiting[0].after[0] in free)
    serial = all(step.after == [before.name] for before, step in pairwise(waiting))
    after_one = all(step.after == waiting[0].after for step in waiting)
    if not (begins and (serial or after_one)):
        raise bad_request("Batch should be either fully sequential or fully parallel.")


def _first_ones_first(steps: list[Step]) -> list[Step]:
    return sorted(steps, key=lambda step: bool(step.after))


def _mixed(answers: list[dict[str, Any]], seed: bytes) -> list[dict[str, Any]]:
    """In another order, always the same one for the same batch: nobody may count on that of the requests."""
    mixed = answers.copy()
    random.Random(seed).shuffle(mixed)  # noqa: S311
    return mixed if mixed != answers else mixed[::-1]
