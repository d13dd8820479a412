"""What every test may ask for: real servers, a fresh place in each, the whole system, a browser."""

import itertools
import os
import secrets
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any, TypeVar

import pytest
import redis as redis_client
from playwright.async_api import Browser, async_playwright
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from attendara_local.machine import find_browser
from attendara_local.ports import Ports
from attendara_local.stack import Stack
from tests.graph_contract import taken
from tests.servers import ADDRESSES, Kafka, Servers, running

AnyReport = TypeVar("AnyReport", pytest.TestReport, pytest.CollectReport)

# Chromium asks nobody but us, and runs as root in CI.
BROWSER_ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]


BROKER = {"kafka", "topics"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _never_skipped(item, (yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _never_skipped(collector, (yield))


def _never_skipped(node: pytest.Item | pytest.Collector, report: AnyReport) -> AnyReport:
    """In CI nothing is skipped: a skip is a failure that says why."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"{node.nodeid} was skipped, and CI skips nothing: {report.longrepr}"
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that speak to the broker are marked: Apache Kafka itself is a second broker for them alone."""
    for item in items:
        if isinstance(item, pytest.Function) and BROKER & set(item.fixturenames):
            item.add_marker("kafka")


@pytest.fixture(autouse=True)
def graphs_description() -> Iterator[None]:
    """Whatever a sandbox answers is as Graph's own description says."""
    yield
    assert not taken()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """MongoDB, Redis and Kafka, shared by all tests of this run."""
    with running(tmp_path_factory.mktemp("servers")) as started:
        yield started


@pytest.fixture(scope="session")
async def mongodb(servers: Servers) -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
    async with AsyncMongoClient[dict[str, Any]](servers.mongodb_url, tz_aware=True) as client:
        yield client


@pytest.fixture
async def database(mongodb: AsyncMongoClient[dict[str, Any]]) -> AsyncIterator[AsyncDatabase[dict[str, Any]]]:
    """A database of this test's own, dropped after it."""
    fresh = mongodb[f"test_{secrets.token_hex(6)}"]
    yield fresh
    await mongodb.drop_database(fresh)


REDIS_NUMBERS = itertools.cycle(range(1, 16))


@pytest.fixture
def redis_url(servers: Servers) -> str:
    """An empty Redis database; one that was given is used as it is, since it may be somebody's."""
    if os.environ.get("REDIS_URL"):
        return servers.redis_url
    url = servers.redis_url.removesuffix("/0") + f"/{next(REDIS_NUMBERS)}"
    with redis_client.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def kafka(servers: Servers) -> Kafka:
    return servers.kafka


@pytest.fixture
def unique() -> str:
    """A word that no other test has: for topics, consumer groups and ids on shared servers."""
    return secrets.token_hex(6)


@pytest.fixture
def organization(unique: str) -> str:
    return f"org_{unique}"


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole system on free ports: with servers of its own, or with those that were given or run as containers."""
    given = dict(os.environ)
    if os.environ.get("ATTENDARA_TEST_SERVERS") == "containers" or any(os.environ.get(name) for name in ADDRESSES):
        shared: Servers = request.getfixturevalue("servers")
        given |= shared.environment | {"MONGODB_DATABASE": f"test_{secrets.token_hex(6)}"}
    with Stack(Ports.free(), tmp_path_factory.mktemp("stack"), given) as running_stack:
        yield running_stack


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = find_browser()
    assert path, "No Chromium or Chrome on this machine: `make test` as root installs Debian's, or name one in CHROMIUM"
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=path, args=BROWSER_ARGUMENTS)
        yield launched
        await launched.close()
