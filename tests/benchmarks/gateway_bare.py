"""The limits that the gateway is measured against: a route that only reads the body and answers 202, on the same server."""

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
    """The framework's own route."""
    app = _app()
    app.post(PATH)(post)
    return app


def make_plain_app() -> FastAPI:
    """What lies below: a route of Starlette's, which neither looks at arguments nor makes an answer of what it is given."""
    app = _app()
    app.router.routes.append(Route(PATH, post, methods=["POST"]))
    return app


def _app() -> FastAPI:
    logging.getLogger("uvicorn.access").setLevel("WARNING")
    app = FastAPI(openapi_url=None, telemetry={"tracing": False})
    app.router.routes.append(Route("/readyz", ready))
    return app
