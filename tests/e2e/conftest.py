"""The whole system, once for all e2e tests, with a collector that receives its traces."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page

from attendara_local.ports import Ports
from attendara_local.stack import Stack
from tests.e2e.otlp import Collector, collecting
from tests.e2e.sandbox_pages import Looker, SandboxProcess, looking, open_window, sandbox_process
from tests.servers import ADDRESSES, Servers

BACK_TO_1996 = "11000"
"""Days: the oldest of the real calendars lies in the window."""


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """At a free port of this machine, or where a system that already runs was told to send its traces."""
    host, _, port = os.environ.get("ATTENDARA_TEST_COLLECTOR", "127.0.0.1:0").rpartition(":")
    with collecting(host, int(port)) as started:
        yield started


@pytest.fixture(scope="session")
def system(request: pytest.FixtureRequest, collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Every part as a process of its own; with its own servers, or with those that were given or run as containers.

    ATTENDARA_TEST_SYSTEM=running: a system that runs already, at the usual ports or those that `make run` takes from variables.
    """
    given = dict(os.environ)
    if os.environ.get("ATTENDARA_TEST_SYSTEM") == "running":
        yield Stack(Ports.given(given), tmp_path_factory.mktemp("system"), given)
        return
    if os.environ.get("ATTENDARA_TEST_SERVERS") == "containers" or any(os.environ.get(name) for name in ADDRESSES):
        shared: Servers = request.getfixturevalue("servers")
        given |= shared.environment | {"MONGODB_DATABASE": f"test_{secrets.token_hex(6)}"}
    given |= {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.address}/v1/traces",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "SYNC_WINDOW_PAST_DAYS": BACK_TO_1996,
        "SANDBOX_LONGEST_VIEW_DAYS": "15000",
    }
    with Stack(Ports.free(), tmp_path_factory.mktemp("system"), given) as running:
        yield running


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A browser of its own: nobody is signed in."""
    context = await browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(15_000)
    yield await context.new_page()
    await context.close()


@pytest.fixture(scope="session")
def shots() -> Path:
    """Where screenshots go, to be looked at by a person."""
    folder = Path(".data/screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxProcess]:
    """The sandbox alone, for tests of its own pages."""
    async with sandbox_process(tmp_path_factory.mktemp("sandbox")) as started:
        yield started


@pytest.fixture(scope="session")
async def window(browser: Browser) -> AsyncIterator[BrowserContext]:
    async with open_window(browser) as one:
        yield one


@pytest.fixture
async def looker(window: BrowserContext, sandbox: SandboxProcess) -> AsyncIterator[Looker]:
    async with looking(window, sandbox) as one:
        yield one
