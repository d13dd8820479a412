"""Graph's door: everything under /v1.0."""

import msgspec
from fastapi import APIRouter, Request, Response

from outlook_sandbox.graph import batch, calendars, categories, delta, dispatch, events, subscribing
from outlook_sandbox.graph.dispatch import respond

# Importing these registers their operations.
OPERATIONS = (batch, calendars, categories, delta, events, subscribing)
JSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"

router = APIRouter()


async def graph(request: Request) -> Response:
    scope = request.scope
    asked = dispatch.Request(
        method=request.method,
        path=scope["raw_path"].decode() if scope.get("raw_path") else request.url.path,
        query=scope["query_string"].decode(),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=await request.body(),
        base=f"{request.url.scheme}://{request.url.netloc}",
    )
    answer = await respond(request.app.state.sandbox, asked)
    if answer.body is None:
        return Response(status_code=answer.status, headers=answer.headers)
    return Response(msgspec.json.encode(answer.body), answer.status, answer.headers, JSON)


METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]
router.add_route("/v1.0/{rest:path}", graph, methods=METHODS)
