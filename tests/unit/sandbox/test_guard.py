"""What keeps web pages from elsewhere out of a sandbox without passwords."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from outlook_sandbox.app import make_sandbox
from outlook_sandbox.database import Database
from outlook_sandbox.settings import Settings
from tests.graph_contract import checked_app
from tests.unit.sandbox.identity_client import address

DEFAULT = "http://localhost:8410"


def client(**settings: Any) -> httpx2.AsyncClient:
    app = checked_app(make_sandbox(Settings(**settings), Database()))
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=DEFAULT)


@pytest.fixture
async def here() -> AsyncIterator[httpx2.AsyncClient]:
    async with client() as http:
        yield http


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8410", "127.0.0.1:8410", "127.1.2.3", "[::1]:8410", "localhost:1"])
async def test_it_answers_by_the_names_of_loopback(here: httpx2.AsyncClient, host: str) -> None:
    assert (await here.get("/sandbox/v1/clock", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("host", ["", "evil.example", "localhost.evil.example:8410", "10.0.0.1", "[::2]", "[", "127.0.0.1.nip.io"])
@pytest.mark.parametrize(
    "path", ["/sandbox/v1/clock", "/beta/me/events", "/outlook", "/readyz", "/common/v2.0/.well-known/openid-configuration"]
)
async def test_by_any_other_name_nothing_answers(here: httpx2.AsyncClient, host: str, path: str) -> None:
    refused = await here.get(path, headers={"Host": host})
    assert refused.status_code == 421
    assert refused.headers["content-type"] == "application/problem+json"
    assert "SANDBOX_ALLOW_OTHER_HOSTS" in refused.json()["detail"]


async def test_it_answers_by_every_name_where_other_hosts_are_allowed() -> None:
    async with client(allow_other_hosts=True) as http:
        assert (await http.get("/sandbox/v1/clock", headers={"Host": "build.example"})).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:3000", "http://127.0.0.1:8410", "null"])
@pytest.mark.parametrize("path", ["/sandbox/v1/reset", "/outlook/token", "/customers/appointments/1/status"])
async def test_a_page_of_another_origin_changes_nothing(here: httpx2.AsyncClient, origin: str, path: str) -> None:
    refused = await here.post(path, content="{}", headers={"Origin": origin, "Content-Type": "text/plain"})
    assert (refused.status_code, refused.json()["title"]) == (403, "Forbidden")


async def test_the_sandboxs_own_pages_and_programs_may_ask(here: httpx2.AsyncClient) -> None:
    for headers in ({"Origin": DEFAULT}, {}):
        assert (await here.post("/sandbox/v1/clock/reset", headers=headers)).status_code == 200


async def test_other_peoples_pages_may_send_to_sign_in(here: httpx2.AsyncClient) -> None:
    assert (await here.post(address(), headers={"Origin": "https://app.example"})).status_code == 200
