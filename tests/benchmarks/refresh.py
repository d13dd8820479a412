"""How many connections auth refreshes per second, and in how much memory: `python -m tests.benchmarks.refresh [CONNECTIONS]`.

auth and the sandbox, which is its Microsoft, are processes of their own. All connections are refreshed once by callers who
ask side by side at auth's token door. Beside it, in the same run, the obvious way: an MSAL application with its own HTTP for
each refresh, in turn and in as many threads, which serves nobody, leases nothing and stores nothing.
"""

import asyncio
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import httpx2
import msal
from honcho.environ import parse_procfile
from pymongo import AsyncMongoClient

from attendara_cli.settings import Settings
from attendara_cli.topics import create_topics
from attendara_local.ports import Ports
from attendara_local.stack import PROCFILE
from outlook_sandbox.client import SandboxControl
from outlook_sandbox.control.models import Population
from tests.integration.auth_world import CREDENTIAL, Document, Sandbox, fingerprint, sandbox_process, vaulted
from tests.servers import Servers, running
from tests.serving import until

ORGANIZATION = "org_bench"
ASKER = {"organization": ORGANIZATION, "user": "usr_1", "session": "ses_1", "binding": "0" * 64}
AT_ONCE = 32
OBVIOUS_SHARE = 4
"""The obvious way refreshes every fourth connection only, because it takes long."""
TICK = os.sysconf("SC_CLK_TCK")

T = TypeVar("T")
R = TypeVar("R")


async def measure(servers: Servers, sandbox: Sandbox, count: int) -> None:
    environment = servers.environment | sandbox.environment | {"MONGODB_DATABASE": f"bench_{secrets.token_hex(6)}"}
    await create_topics(Settings(kafka_bootstrap_servers=servers.kafka.bootstrap_servers), None)
    async with SandboxControl(sandbox.http) as control:
        people = (await control.populate(Population(mailboxes=count))).accounts
    async with auth(environment) as (door, _):
        began = time.monotonic()
        ids = await _all([person.id for person in people], lambda account: _connect(door, account))
        _print(f"connected: {count / (time.monotonic() - began):.0f} per second")
    async with auth(environment) as (door, pid):
        kept = dict(zip(ids, await _all(ids, lambda connection: _token(door, connection)), strict=True))
        peak_before, used, began = _peak_mb(pid), _processor_seconds(pid), time.monotonic()
        times = await _all(ids, lambda connection: _refresh(door, connection, fingerprint(kept[connection])))
        rate, used = count / (time.monotonic() - began), _processor_seconds(pid) - used
        peak = _peak_mb(pid)
    caches = await _caches(servers, environment["MONGODB_DATABASE"], ids[::OBVIOUS_SHARE])
    os.environ["REQUESTS_CA_BUNDLE"] = environment["MICROSOFT_CA_FILE"]
    _print(f"auth: {used / count * 1e3:.1f} ms of one core for each refresh; peak before the first {peak_before:.0f} MB")
    _print(f"p50_ms={statistics.median(times) * 1e3:.0f}, {AT_ONCE} at once")
    for threads in (1, AT_ONCE):
        obvious, each = _obvious(sandbox, caches, threads)
        ratio = f"auth is {rate / obvious:.1f} times as fast"
        _print(f"the obvious way, {threads} at once: {obvious:.1f} per second, {each * 1e3:.1f} ms of one core for each; {ratio}")
    p99 = statistics.quantiles(times, n=100)[-1] * 1e3
    _print(f"refresh connections={count} rate={rate:.1f} peak_mb={peak:.0f} p99_ms={p99:.0f}")


@asynccontextmanager
async def auth(environment: dict[str, str]) -> AsyncIterator[tuple[httpx2.AsyncClient, int]]:
    """auth as the Procfile starts it: its door, and the id of its process."""
    port = str(Ports.free().auth)
    command = dict(parse_procfile(PROCFILE.read_text()).processes)["auth"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
    own = environment | {"AUTH_PORT": port, "PATH": path, "LOG_LEVEL": "WARNING"}
    headers = {"Authorization": f"Bearer {CREDENTIAL}"}
    process = await asyncio.create_subprocess_exec("sh", "-c", f"exec {command} --log-level warning", env=own)
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as door:
            await until(lambda: _is_ready(door))
            yield door, process.pid
    finally:
        process.terminate()
        await process.wait()


async def _is_ready(door: httpx2.AsyncClient) -> bool:
    with suppress(httpx2.ConnectError):
        return (await door.get("/readyz")).is_success
    return False


async def _all(things: Sequence[T], act: Callable[[T], Awaitable[R]]) -> list[R]:
    """What became of each, so many at once."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(thing: T) -> R:
        async with places:
            return await act(thing)

    return await asyncio.gather(*(one(thing) for thing in things))


async def _connect(door: httpx2.AsyncClient, account: str) -> str:
    begun = (await door.post("/internal/v1/connects", json=ASKER)).raise_for_status().json()
    agreed = await door.post(begun["authorize_url"], data={"account": account, "answer": "accept"}, headers={"Authorization": ""})
    query = dict(parse_qsl(urlsplit(agreed.headers["location"]).query))
    ended = (await door.post("/internal/v1/connects/finish", json=ASKER | {"query": query})).raise_for_status().json()
    assert ended["outcome"] == "accepted", ended
    return str(ended["connection"])


async def _token(door: httpx2.AsyncClient, connection: str, **body: Any) -> str:
    answer = (await door.post(f"/internal/v1/connections/{connection}/token", json=body)).raise_for_status()
    return str(answer.json()["access_token"])


async def _refresh(door: httpx2.AsyncClient, connection: str, refused: str) -> float:
    """How many seconds it took."""
    began = time.monotonic()
    assert fingerprint(await _token(door, connection, refused=refused)) != refused
    return time.monotonic() - began


async def _caches(servers: Servers, database: str, ids: Sequence[str]) -> list[str]:
    async with AsyncMongoClient[Document](servers.mongodb_url, tz_aware=True) as client:
        connections = vaulted(client[database], "k1")
        return [(await connections.open(connection)).cache for connection in ids]


def _obvious(sandbox: Sandbox, caches: Sequence[str], threads: int) -> tuple[float, float]:
    """Refreshes per second, and seconds of one core for each."""
    with ThreadPoolExecutor(threads) as pool:
        used, began = time.process_time(), time.monotonic()
        done = len(list(pool.map(lambda cache: _refresh_obviously(sandbox, cache), caches)))
        return done / (time.monotonic() - began), (time.process_time() - used) / done


def _refresh_obviously(sandbox: Sandbox, text: str) -> None:
    told = sandbox.environment
    cache = msal.SerializableTokenCache()
    cache.deserialize(text)
    app = msal.ConfidentialClientApplication(
        told["MICROSOFT_CLIENT_ID"],
        client_credential=told["MICROSOFT_CLIENT_SECRET"],
        authority=told["MICROSOFT_AUTHORITY"],
        instance_discovery=False,
        token_cache=cache,
    )
    [account] = app.get_accounts()
    answer = app.acquire_token_silent_with_error(["Calendars.ReadWrite"], account, force_refresh=True)
    assert "access_token" in answer, answer
    assert cache.serialize() != text


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def _print(words: str) -> None:
    sys.stdout.write(f"{words}\n")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with running(place / "servers") as servers, sandbox_process(place / "sandbox") as sandbox:
            asyncio.run(measure(servers, sandbox, count))


if __name__ == "__main__":
    main()
