"""What the gateway's benchmark stands on: genuine posts, and a load that notices what isn't a 202."""

import base64
import itertools
import json
import time
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from common.client_state import ClientStates
from tests.benchmarks import gateway_bare
from tests.benchmarks.gateway_load import Load, NotAccepted, Sent
from tests.benchmarks.gateway_posts import PATH, posts
from tests.serving import serving

KEYS = ClientStates([SecretStr(f"k1:{base64.b64encode(bytes(32)).decode()}")])


def test_each_entry_is_signed_and_a_post_knows_how_many_calendars_it_is_about() -> None:
    for size, made in posts(KEYS, [1, 100]).items():
        for post in made:
            head, _, body = post.request.partition(b"\r\n\r\n")
            entries = json.loads(body)["value"]
            assert f"Content-Length: {len(body)}".encode() in head
            assert len(entries) == post.entries == size
            assert len({KEYS.verify(entry["clientState"]) for entry in entries}) == post.calendars


async def test_every_post_that_is_due_is_answered_though_there_are_fewer_connections() -> None:
    bodies: list[bytes] = []

    async def keep(request: Request) -> Response:
        bodies.append(await request.body())
        return Response(status_code=HTTPStatus.ACCEPTED)

    made = posts(KEYS, [10])[10][:40]
    async with serving(lambda _: Starlette(routes=[Route(PATH, keep, methods=["POST"])])) as address:
        now = time.monotonic()
        sent = await _send(address, [now + number / 1000 for number in range(40)])
    assert len(sent.times) == len(bodies) == 40
    assert sent.entries == 400
    assert sorted(bodies) == sorted(post.request.partition(b"\r\n\r\n")[2] for post in made)


@pytest.mark.parametrize("status", [HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INTERNAL_SERVER_ERROR])
async def test_another_answer_than_202_ends_the_run(status: HTTPStatus) -> None:
    async def refuse(request: Request) -> Response:
        await request.body()
        return Response("no", status)

    async with serving(lambda _: Starlette(routes=[Route(PATH, refuse, methods=["POST"])])) as address:
        with pytest.raises(NotAccepted, match=str(status.value)):
            await _send(address, [0.0])


@pytest.mark.parametrize("make", [gateway_bare.make_app, gateway_bare.make_plain_app])
async def test_the_bare_servers_accept(make: Callable[[], FastAPI]) -> None:
    async with serving(lambda _: make()) as address:
        assert (await _send(address, [0.0] * 5)).rate > 0


async def _send(address: str, due: list[float]) -> Sent:
    async with Load.on(urlsplit(address).port or 0, connections=4) as load:
        return await load.run(itertools.cycle(posts(KEYS, [10])[10][:40]), iter(due))
