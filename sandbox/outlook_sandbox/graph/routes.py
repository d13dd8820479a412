"""Graph's door: everything under /v1.0, and the little there is of /beta. It stands before the other routes, for speed."""

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from outlook_sandbox.cut import ConnectionCut
from outlook_sandbox.graph import batch, calendars, categories, delta, events, subscribing, user
from outlook_sandbox.graph.dispatch import Request, respond
from outlook_sandbox.graph.errors import GraphError
from outlook_sandbox.state import Sandbox

# Importing these registers their operations.
OPERATIONS = (batch, calendars, categories, delta, events, subscribing, user)
VERSIONS = ("/v1.0/", "/beta/")
LARGEST_BODY = 4 * 1024 * 1024
LONGEST_ADDRESS = 16 * 1024
BODILESS = (204, 304)
JSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
DIAGNOSTIC = msgspec.json.encode(
    {"ServerInfo": {"DataCenter": "Sandbox", "Slice": "E", "Ring": "1", "ScaleUnit": "000", "RoleInstance": "SANDBOX"}}
)


class Door:
    """Answers requests to Graph and passes on all others."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app = app
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(VERSIONS):
            await self._app(scope, receive, send)
            return
        request = _request(scope, await _body(receive))
        answer = await respond(self._sandbox, request)
        headers = [
            (b"request-id", request.id.encode()),
            (b"client-request-id", request.client_id.encode("latin-1")),
            (b"x-ms-ags-diagnostic", DIAGNOSTIC),
        ]
        if scope["scheme"] == "http":
            # Browsers don't heed it there. Over https they would, for all that this machine serves.
            headers.append((b"strict-transport-security", b"max-age=31536000"))
        content = b""
        if answer.body is not None and answer.status not in BODILESS:
            content = answer.body if isinstance(answer.body, bytes) else msgspec.json.encode(answer.body)
            answer.headers.setdefault("Content-Type", JSON)
        if answer.status not in BODILESS:
            answer.headers["Content-Length"] = str(len(content))
        headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


def _request(scope: Scope, body: bytes | None) -> Request:
    """What came, or as much of it as is bearable. Bytes that are no text stay apart, whatever they were meant to be."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    refused = None
    if len(path) + len(query) > LONGEST_ADDRESS:
        path, query = path[:LONGEST_ADDRESS], ""
        refused = GraphError(414, "BadRequest", "The request URL is too long.")
    if body is None:
        refused = GraphError(413, "RequestEntityTooLarge", "Maximum request length exceeded.")
    base = f"{scope['scheme']}://{headers.get('host', 'localhost')}"
    return Request(scope["method"], path, query, headers, body or b"", base, refused=refused)


async def _body(receive: Receive) -> bytes | None:
    """All that was sent; None if it was more than Graph takes. Raises ConnectionCut if the client left while sending."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionCut
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        if size <= LARGEST_BODY:
            parts.append(part)
    return b"".join(parts) if size <= LARGEST_BODY else None
