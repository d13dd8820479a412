"""The typed client of the control API, against a sandbox at a real address."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import httpx2
import pytest
from pydantic import ValidationError

from outlook_sandbox.app import make_sandbox
from outlook_sandbox.client import NotThere, SandboxControl, SandboxError
from outlook_sandbox.control.models import AppSettings, Population
from outlook_sandbox.database import Database
from outlook_sandbox.faults import Throttled
from outlook_sandbox.settings import Settings
from tests.graph_contract import checked_app
from tests.serving import serving


@pytest.fixture(scope="module")
async def address() -> AsyncIterator[str]:
    sandbox = make_sandbox(Settings(kafka_bootstrap_servers=None), Database())
    async with serving(lambda _: checked_app(sandbox)) as url:
        yield url


@pytest.fixture
async def control(address: str) -> AsyncIterator[SandboxControl]:
    async with SandboxControl(address) as made:
        await made.reset()
        yield made


async def ask(address: str, token: str, path: str = "/me") -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=address, trust_env=False) as client:
        return await client.get(f"/v1.0{path}", headers={"Authorization": f"Bearer {token}"})


async def test_the_example_of_its_own_docstring_works(address: str, control: SandboxControl) -> None:
    tess = await control.create_account("tess@ting.example", "Tess Ting", events=40)
    assert tess.calendars[0].events == 40
    token = await control.token(tess.id, "my-app", ["Calendars.ReadWrite"])
    async with control.fault(Throttled(account=tess.id, path="/me/events", times=2)):
        waiting = asyncio.create_task(control.wait_for_request(account=tess.id, contains="/me/events", status=429))
        assert (await ask(address, token, "/me/events")).status_code == 429
        assert (await waiting).app == "my-app"
    before = await control.now()
    assert (await control.advance(days=3) - before).days == 3
    await control.revoke(tess.id, "password-reset")


async def test_a_fault_is_off_after_its_block_whatever_happened_in_it(control: SandboxControl) -> None:
    async def fails() -> None:
        async with control.fault(Throttled()) as on:
            assert [one.id for one in await control.faults()] == [on.id]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert await control.faults() == []
    async with control.fault(Throttled()):
        await control.reset()
    async with control.fault(Throttled()) as on:
        await control.switch_off(on.id)


async def test_what_is_refused_says_why(control: SandboxControl) -> None:
    await control.create_account("tess@ting.example", "Tess Ting")
    with pytest.raises(SandboxError) as refusal:
        await control.create_account("TESS@ting.example", "Tess Ting")
    error = refusal.value
    assert (error.status, error.title, error.detail) == (409, "Conflict", "There is an account named TESS@ting.example already.")
    assert str(error) == "409 Conflict: There is an account named TESS@ting.example already."
    assert type(error) is SandboxError
    with pytest.raises(NotThere, match="There is no such account"):
        await control.account("nobody?x=1#y")
    with pytest.raises(SandboxError, match="This is not a calendar"):
        await control.load_ics("tess@ting.example", (await control.account("tess@ting.example")).calendars[0].id, b"x")


async def test_what_can_not_be_is_not_even_sent(control: SandboxControl) -> None:
    with pytest.raises(ValidationError, match="a personal account"):
        await control.create_account("jo@outlook.example", "Jo", kind="personal", admin=True)
    with pytest.raises(ValidationError):
        await control.advance(days=-1)
    with pytest.raises(ValidationError, match="AzureADMyOrg"):
        AppSettings(name="Mine", sign_in_audience="AzureADMyOrg")


async def test_something_else_that_answers_is_an_error_too() -> None:
    other = httpx2.MockTransport(lambda _: httpx2.Response(503, html="<h1>Away</h1>"))
    async with httpx2.AsyncClient(transport=other, base_url="http://other.test") as client:
        with pytest.raises(SandboxError, match="503 Service Unavailable: <h1>Away</h1>"):
            await SandboxControl(client=client).accounts()


async def test_a_given_client_stays_open(address: str) -> None:
    async with httpx2.AsyncClient(base_url=address, trust_env=False) as client:
        async with SandboxControl(client=client) as control:
            await control.now()
        assert not client.is_closed
        await SandboxControl(client=client).now()


async def test_more_accounts_than_a_page_holds_are_all_listed(control: SandboxControl) -> None:
    populated = await control.populate(Population(mailboxes=1001, app="my-app"))
    assert len(populated.accounts) == 1001
    listed = await control.accounts("population.example")
    assert sorted(one.id for one in listed) == sorted(one.id for one in populated.accounts)


def test_it_needs_no_server_to_be_imported() -> None:
    heavy = ("fastapi", "starlette", "uvicorn", "jinja2", "icalendar", "cryptography", "aiokafka")
    program = f"import sys, outlook_sandbox.client; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
