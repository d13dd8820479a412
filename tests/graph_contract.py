"""Every answer of a sandbox, held against Graph's own description: the one check of all tests.

`checked_app` serves a sandbox in this process and looks at all that leaves it; `CHECKED` is for a client of a sandbox
that is a process of its own. What the description doesn't allow is recorded, and conftest.py fails the test.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx2
import msgspec
from jsonschema_rs import Draft202012Validator

from outlook_sandbox.app import create_app
from outlook_sandbox.faults import Garbage
from outlook_sandbox.state import Sandbox

Json = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Scope = MutableMapping[str, Any]
DATA = Path(__file__).parent / "data/graph"
VERSION = "/v1.0/"
ANNOTATIONS = r"^[A-Za-z]*@odata\.[A-Za-z]+$"
KEPT = ("type", "enum", "format", "maxLength", "maxItems", "oneOf")

recorded: list[str] = []
"""What was found since the last look, each with its request."""


@dataclass(frozen=True)
class Exchange:
    """A request, whole or inside a batch, and its answer. `path` starts with the version; `body` is parsed, None if empty."""

    method: str
    path: str
    query: str
    status: int
    content_type: str
    body: Any
    asked: Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}{'?' if self.query else ''}{self.query} {self.status}"


class Contract:
    """The description and what it lacks, as validators."""

    def __init__(self, *documents: Json) -> None:
        self._document: Json = {}
        for document in documents:
            _merge(self._document, document)
        self._schemas: Json = self._document["components"]["schemas"]
        self._error = self._document["components"]["responses"]["error"]
        paths = [(path.strip("/").split("/"), item) for path, item in self._document["paths"].items()]
        self._paths = sorted(paths, key=lambda path: sum(part.startswith("{") for part in path[0]))
        self._validators: dict[str, Draft202012Validator] = {}

    def violations(self, exchange: Exchange) -> Iterator[str]:
        """All that the description doesn't allow in this answer."""
        response = self._response(exchange)
        if response is None:
            yield "this method, path and status are not described"
            return
        if exchange.method == "HEAD":
            return
        content = response.get("content", {}).get("application/json")
        if content is None:
            yield from ["a body where none belongs"] if exchange.body is not None else []
            return
        if not exchange.content_type.startswith("application/json"):
            yield f"content type {exchange.content_type!r}"
        yield from self.of_body(content["schema"]["$ref"].rpartition("/")[2], exchange.body)
        if exchange.status < 300 and isinstance(exchange.body, dict):
            yield from self._presence(content["schema"]["$ref"].rpartition(".")[2], exchange)
        if exchange.path == f"{VERSION}$batch" and exchange.status == 200:
            yield from (f"in the batch: {found}" for step in _steps(exchange) for found in self._lines(step))

    def of_body(self, schema: str, body: Any) -> Iterator[str]:
        """What the schema of this name doesn't allow in a body."""
        if schema not in self._validators:
            self._validators[schema] = Draft202012Validator(
                {"$ref": f"#/$defs/{schema}", "$defs": self._definitions}, validate_formats=True
            )
        for error in self._validators[schema].iter_errors(body):
            yield f"{'/'.join(map(str, error.instance_path)) or 'body'}: {error.message[:300]}"

    def _lines(self, exchange: Exchange) -> list[str]:
        return [f"{exchange}: {found}" for found in self.violations(exchange)]

    def record(self, exchange: Exchange) -> None:
        recorded.extend(self._lines(exchange))

    def _response(self, exchange: Exchange) -> Json | None:
        operation = self._operation(exchange)
        responses: Json = operation["responses"] if operation else {"4XX": self._error, "5XX": self._error}
        found: Json | None = responses.get(str(exchange.status)) or responses.get(f"{exchange.status // 100}XX")
        return self._error if found and "$ref" in found else found

    def _operation(self, exchange: Exchange) -> Json | None:
        parts = _segments(exchange.path)
        for template, item in self._paths:
            if len(template) == len(parts) and all(map(_stands_for, template, parts)):
                found: Json | None = item.get(exchange.method.lower())
                return found
        return None

    @cached_property
    def _definitions(self) -> Json:
        return {name: self._translate(schema) for name, schema in self._schemas.items()}

    def _translate(self, node: Json) -> Json:
        """OpenAPI 3.0's dialect as JSON Schema, with objects closed but for annotations."""
        if "$ref" in node:
            return {"$ref": node["$ref"].replace("#/components/schemas/", "#/$defs/")}
        if node.get("nullable"):
            inner = node["allOf"][0] if "allOf" in node else {name: rule for name, rule in node.items() if name != "nullable"}
            return {"if": {"not": {"type": "null"}}, "then": self._translate(inner)}
        kept = {name: node[name] for name in KEPT if name in node}
        if "items" in node:
            kept["items"] = self._translate(node["items"])
        if "allOf" not in node and node.get("type") != "object":
            return kept
        whole = self._flat(node)
        properties = {name: self._translate(schema) for name, schema in whole["properties"].items()}
        more = whole.get("additionalProperties", False)
        more = self._translate(more) if isinstance(more, dict) else more
        closed = {"required": whole["required"], "additionalProperties": more, "patternProperties": {ANNOTATIONS: {}}}
        return kept | {"type": "object", "properties": properties} | closed

    def _flat(self, node: Json) -> Json:
        """An object with what it inherits."""
        if "$ref" in node:
            node = self._schemas[node["$ref"].rpartition("/")[2]]
        whole: Json = {"properties": {}, "required": []}
        for part in [*(self._flat(part) for part in node.get("allOf", [])), node]:
            whole["properties"] |= part.get("properties", {})
            whole["required"] += part.get("required", [])
            whole |= {name: part[name] for name in ("additionalProperties", "x-only-when-asked") if name in part}
        return whole

    def _presence(self, schema: str, exchange: Exchange) -> Iterator[str]:
        """Whether entities have all their properties, or those of $select; CSDL itself requires next to nothing."""
        if schema == "eventDeltaResponse":
            for item in exchange.body.get("value", []):
                yield from self._missing("event", item, "", _told_in_delta(item))
            return
        entity = schema.removesuffix("CollectionResponse")
        if "x-only-when-asked" not in self._flat(self._schemas.get(f"microsoft.graph.{entity}", {})):
            return
        query = dict(parse_qsl(exchange.query, keep_blank_values=True))
        selected = {name.strip().partition("/")[0] for name in query.get("$select", "").split(",") if name.strip()}
        for item in [exchange.body] if entity == schema else exchange.body.get("value", [{}]):
            yield from self._missing(entity, item, query.get("$expand", ""), selected)

    def _missing(self, entity: str, item: Json, expand: str, selected: set[str]) -> Iterator[str]:
        whole = self._flat(self._schemas[f"microsoft.graph.{entity}"])
        asked: list[str] = whole["x-only-when-asked"]
        wanted = {*selected, "id"} if selected else {*whole["properties"]} - {*asked}
        has = {name for name in item if "@" not in name}
        allowed = {name for name in asked if name in expand}
        if missing := sorted(name for name in wanted - has - {*asked} if "@" not in name):  # $select alone may not be enough
            yield f"{entity} without {missing}"
        if more := sorted(has - wanted - allowed):
            yield f"{entity} with {more}, for which nobody asked"


class Checked:
    """An application whose answers under /v1.0 are checked as they leave."""

    def __init__(self, app: Any, sandbox: Sandbox) -> None:
        self._app = app
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(VERSION):
            await self._app(scope, receive, send)
            return
        passing = _Passing(scope, receive, send, self._spoiled)
        await self._app(scope, passing.receive, passing.send)

    def _spoiled(self) -> bool:
        """Whether answers are wanted not to be Graph's."""
        return any(isinstance(armed.fault, Garbage) and armed.struck for armed in self._sandbox.faults.all())


class _Passing:
    """A request and its answer as they pass by."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, spoiled: Callable[[], bool]) -> None:
        self._scope, self._receive, self._send, self._spoiled = scope, receive, send, spoiled
        self.transport = getattr(getattr(send, "__self__", None), "transport", None)  # the sandbox cuts it if it has to
        self._start: Json = {}
        self._asked, self._answered = bytearray(), bytearray()

    async def receive(self) -> Any:
        message = await self._receive()
        self._asked += message.get("body", b"")
        return message

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._start = dict(message)
        self._answered += message.get("body", b"")
        if message["type"] == "http.response.body" and not message.get("more_body") and not self._spoiled():
            self._check()
        await self._send(message)

    def _check(self) -> None:
        scope, headers = self._scope, {name.lower(): value.decode() for name, value in self._start["headers"]}
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        kind = headers.get(b"content-type", "")
        check(scope["method"], path, query, bytes(self._asked), self._start["status"], kind, bytes(self._answered))


def checked_app(sandbox: Sandbox) -> Checked:
    return Checked(create_app(sandbox), sandbox)


async def check_answer(response: httpx2.Response) -> None:
    """Checks what a client got."""
    request = response.request
    path, _, query = request.url.raw_path.decode().partition("?")
    if path.startswith(VERSION):
        body, kind = await response.aread(), response.headers.get("content-type", "")
        check(request.method, path, query, request.content, response.status_code, kind, body)


CHECKED: dict[str, list[Callable[..., Any]]] = {"response": [check_answer]}
"""The `event_hooks` of a client."""


def check(method: str, path: str, query: str, asked: bytes, status: int, content_type: str, answered: bytes) -> None:
    """Record what the description doesn't allow in an answer."""
    try:
        body = msgspec.json.decode(answered) if answered else None
    except msgspec.DecodeError:
        recorded.append(f"{method} {path} {status}: no JSON: {answered[:100]!r}")
        return
    steps = msgspec.json.decode(asked) if path == f"{VERSION}$batch" and status == 200 else None
    contract().record(Exchange(method, path, query, status, content_type, body, steps))


def check_notifications(body: Json) -> None:
    """Record what is wrong with a post to a notification endpoint."""
    recorded.extend(f"notification: {found}" for found in contract().of_body("microsoft.graph.changeNotificationCollection", body))


def taken() -> list[str]:
    """What was recorded since the last time."""
    found, recorded[:] = recorded[:], []
    return found


@cache
def contract() -> Contract:
    return Contract(*(msgspec.yaml.decode((DATA / name).read_bytes()) for name in ("openapi-subset.yaml", "additions.yaml")))


def _merge(whole: Json, more: Json) -> None:
    for name, part in more.items():
        if isinstance(part, dict) and isinstance(whole.get(name), dict):
            _merge(whole[name], part)
        else:
            whole[name] = part


def _segments(path: str) -> list[str]:
    """A path in the description's own words: the signed-in user is /me, the default calendar one of the calendars."""
    parts = [unquote(part) for part in path.removeprefix(VERSION).strip("/").split("/")]
    if parts[0].casefold() == "users" and len(parts) > 1:
        parts = ["me", *parts[2:]]
    if [part.casefold() for part in parts[:2]] == ["me", "calendar"] and len(parts) > 2:
        parts = ["me", "calendars", "default", *parts[2:]]
    return [re.sub(r"^(microsoft\.graph\.)?delta(\(\))?$", "delta()", part) for part in parts]


def _stands_for(part: str, segment: str) -> bool:
    """Upper and lower case are the same to Graph."""
    return part.startswith("{") or part.casefold() == segment.casefold()


def _steps(batch: Exchange) -> Iterator[Exchange]:
    """What was asked and answered inside a batch."""
    asked = {step["id"]: step for step in batch.asked["requests"]}
    for answer in batch.body["responses"]:
        step = asked[answer["id"]]
        path, _, query = re.sub("^https?://[^/]+/v1.0/", "", step["url"]).partition("?")
        headers = {name.casefold(): value for name, value in answer.get("headers", {}).items()}
        kind = headers.get("content-type", "")
        yield Exchange(step["method"].upper(), VERSION + path.lstrip("/"), query, answer["status"], kind, answer.get("body"))


def _told_in_delta(item: Json) -> set[str]:
    """What an item of a delta page has: a tombstone its id, an ordinary occurrence little more, others everything."""
    if "@removed" in item:
        return {"id"}
    return {"id", "seriesMasterId", "type", "start", "end"} if item.get("type") == "occurrence" else set()
