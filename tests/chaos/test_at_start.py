"""Servers that are away when the services start: these live, say what is missing, and are ready by themselves when it is there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx2

from attendara_local import servers
from attendara_local.part import Recipe
from attendara_local.ports import Ports
from attendara_local.ready import http_ready
from attendara_local.stack import Stack
from tests.chaos.system import own_environment, port_of
from tests.serving import until

NEEDS = {
    "auth": {"mongodb", "redis", "kafka"},
    "renewer": {"mongodb", "redis", "kafka"},
    "settings-web": {"mongodb", "redis", "kafka"},
    "sync-worker": {"mongodb", "redis", "kafka"},
    "webhook-gateway": {"kafka"},
}
"""The servers without which a service is not ready."""
FIRST_STEPS = {"indexes", "prepared", "token_keys"}
"""What services do with MongoDB first, and therefore miss as long as it is away."""
LIMIT = 60.0


@asynccontextmanager
async def services_alone(folder: Path) -> AsyncIterator[tuple[Stack, dict[str, Recipe]]]:
    """The services, each alive, without any server; and the servers that can be started for them."""
    stack = Stack(Ports.free(), folder, own_environment())
    recipes = servers.recipes(stack.ports, stack.folder, stack.given)
    try:
        await asyncio.to_thread(stack.services.start, stack.sandbox_recipes())
        alive = [replace(one, wants=http_ready(port_of(stack.ports, one.name), "/livez")) for one in stack.service_recipes()]
        await asyncio.to_thread(stack.services.start, alive)
        yield stack, {recipe.name: recipe for recipe in recipes}
    finally:
        await asyncio.to_thread(stack.stop)


async def test_services_wait_for_the_servers_say_which_are_away_and_are_ready_when_they_come(tmp_path: Path) -> None:
    async with services_alone(tmp_path) as (stack, recipes), httpx2.AsyncClient(timeout=10) as client:
        away = {"mongodb", "redis", "kafka"}

        async def each_misses_what_is_away() -> bool:
            answers = await ask(stack, client)
            return all(missed(answers[service]) == needs & away for service, needs in NEEDS.items())

        await until(each_misses_what_is_away, LIMIT)
        for server, name in (("broker", "kafka"), ("redis", "redis"), ("mongod", "mongodb")):
            await start(stack, recipes[server])
            away.discard(name)
            await until(each_misses_what_is_away, LIMIT)

        async def all_are_ready() -> bool:
            return {answer.status_code for answer in (await ask(stack, client)).values()} == {200}

        await until(all_are_ready, LIMIT)


async def ask(stack: Stack, client: httpx2.AsyncClient) -> dict[str, httpx2.Response]:
    addresses = [f"http://localhost:{port_of(stack.ports, service)}/readyz" for service in NEEDS]
    return dict(zip(NEEDS, await asyncio.gather(*map(client.get, addresses)), strict=True))


def missed(answer: httpx2.Response) -> set[str]:
    """The servers that are away, as it says."""
    assert (answer.status_code == 200) == (answer.json()["status"] == "ok")
    return set(answer.json()) - {"status"} - FIRST_STEPS


async def start(stack: Stack, server: Recipe) -> None:
    await asyncio.to_thread(stack.servers.start, [server])
    if server.name == "broker":
        await asyncio.to_thread(stack.command, "topics")
