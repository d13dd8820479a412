"""The limit that the gateway is measured against: the same framework and server, and a route that only reads and answers."""

import logging
from http import HTTPStatus

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.benchmarks.gateway_posts import PATH


async def post(request: Request) -> Response:
    await request.body()
    return Response(status_code=HTTPStatus.ACCEPTED)


async def ready(_: Request) -> Response:
    return Response()


def make_app() -> FastAPI:
    logging.getLogger("uvicorn.access").setLevel("WARNING")
    app = FastAPI(openapi_url=None, telemetry={"tracing": False})
    app.router.routes += [Route(PATH, post, methods=["POST"]), Route("/readyz", ready)]
    return app
