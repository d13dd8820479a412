"""The journal: what was asked of the sandbox, without anybody's secrets."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from outlook_sandbox import journal
from outlook_sandbox.client import SandboxControl
from outlook_sandbox.control.models import JournalQuery
from outlook_sandbox.journal import KEPT, Entry
from tests.unit.sandbox.graph_client import Graph, sandbox_graph
from tests.unit.sandbox.identity_client import APP, SECRET, VERIFIER, WORK, Microsoft, address, microsoft
from tests.unit.sandbox.test_control import problem


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with sandbox_graph() as made:
        yield made


@pytest.fixture
def control(graph: Graph) -> SandboxControl:
    return SandboxControl(client=graph.client)


@pytest.fixture
async def door() -> AsyncIterator[Microsoft]:
    async with microsoft() as made:
        yield made


async def test_each_filter_narrows_what_is_found(graph: Graph, control: SandboxControl) -> None:
    made = await graph.create()
    await graph.ask("GET", f"/me/events/{made['id']}")
    await graph.ask("GET", "/me/events/nothing")
    await graph.ask("POST", "/$batch", {"requests": [{"id": "1", "method": "GET", "url": "/me"}]})
    other = await control.create_account("vera@ting.example", "Vera Ting")
    token = await control.token(other.id, "another-app", ["User.Read"])
    await graph.ask("GET", "/me", token=token)

    def told(entries: list[Entry]) -> list[tuple[str, str]]:
        return [(entry.method, entry.path.removeprefix("/v1.0")) for entry in entries]

    posts = [("POST", f"/me/calendars/{graph.calendar}/events"), ("POST", "/$batch")]
    assert told(await control.journal(method="POST")) == posts
    assert told(await control.journal(status=404)) == [("GET", "/me/events/nothing")]
    assert told(await control.journal(contains=made["id"])) == [("GET", f"/me/events/{made['id']}")]
    assert told(await control.journal(batch=True)) == [("GET", "/me")]
    assert len(await control.journal(batch=False)) == 5
    assert told(await control.journal(app="another-app")) == told(await control.journal(account=other.username)) == [("GET", "/me")]
    assert len(await control.journal(account=graph.account.id)) == 5
    assert await control.journal(account="nobody") == []
    everything = await control.journal()
    assert await control.journal(since=everything[2].number) == everything[3:]
    assert (await control.read_journal(JournalQuery(limit=2))).entries == everything[:2]
    newest = await control.read_journal(JournalQuery(limit=2, newest=True))
    assert (newest.entries, newest.last) == (everything[-2:], everything[-1].number)


async def test_it_can_be_forgotten_and_counts_on(graph: Graph, control: SandboxControl) -> None:
    await graph.ask("GET", "/me")
    last = await control.last_request()
    await control.forget_journal()
    await control.forget_journal()
    assert (await control.journal(), await control.last_request()) == ([], last)
    await graph.ask("GET", "/me")
    assert [entry.number for entry in await control.journal()] == [last + 1]


async def test_it_waits_for_the_request_that_is_wanted(graph: Graph, control: SandboxControl) -> None:
    waiting = asyncio.create_task(control.wait_for_request(contains="/me/calendars", account=graph.account.username))
    await control.now()
    await graph.ask("GET", "/me")
    assert not waiting.done()
    await graph.ask("GET", "/me/calendars")
    assert (await waiting).path == "/v1.0/me/calendars"
    assert await control.wait_for_request(contains="/me/calendars") == await waiting
    with pytest.raises(TimeoutError, match="'status': 418"):
        await control.wait_for_request(status=418, patience=0.05)


@pytest.mark.parametrize("query", ["wait=61", "wait=-1", "since=-1", "limit=0", "status=abc", "batch=perhaps", "unheard_of=1"])
async def test_a_bad_query_is_refused(graph: Graph, query: str) -> None:
    problem(await graph.client.get(f"/sandbox/v1/journal?{query}"), 422)


async def test_its_own_questions_are_not_in_it(graph: Graph, control: SandboxControl) -> None:
    await control.accounts()
    await graph.client.get("/sandbox/openapi.json")
    await graph.client.get("/readyz")
    assert await control.journal() == []


async def test_it_is_bounded(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry(0, graph.sandbox.clock.now(), "GET", "/", "", 200, 0)
    for _ in range(KEPT + 10):
        graph.sandbox.journal.add(entry)
    assert len(graph.sandbox.journal.entries(-1)) == KEPT
    await graph.ask("POST", "/me/events", {"subject": "x" * 100_000})
    [last] = graph.sandbox.journal.entries()
    assert last.body
    assert len(last.body) == journal.BODY_KEPT


async def test_signing_in_is_in_it_without_its_secrets(door: Microsoft) -> None:
    control = SandboxControl(client=door.http)
    code = await door.code(WORK)
    given = (await door.ask_token(code=code)).json()
    await door.refresh(given["refresh_token"])
    await door.http.post("/common/oauth2/v2.0/token", auth=(APP, SECRET), data={"grant_type": "refresh_token"})
    await door.me(given["access_token"])
    tokens = await control.journal(contains="/oauth2/v2.0/token", account=WORK.username)
    assert [(entry.method, entry.status, entry.app) for entry in tokens] == [("POST", 200, APP)] * 2
    assert await control.journal(contains="/oauth2/v2.0/authorize", method="POST")
    text = (await door.http.get("/sandbox/v1/journal")).text
    for secret in (code, SECRET, VERIFIER, given["access_token"], given["refresh_token"], given["id_token"]):
        assert secret not in text
    assert "Basic" not in text
    assert "Bearer" not in text


async def test_what_a_sign_in_page_is_asked_is_not_in_it(door: Microsoft) -> None:
    await door.http.get(address(state="the-state-of-the-app"))
    [entry] = door.sandbox.journal.entries()
    assert (entry.path, entry.query, entry.body) == ("/common/oauth2/v2.0/authorize", "", None)


async def test_headers_of_a_batchs_requests_are_not_in_it(graph: Graph, control: SandboxControl) -> None:
    headers = {"Authorization": "Bearer of-a-secret", "Prefer": 'outlook.timezone="UTC"'}
    steps = [{"id": "1", "method": "GET", "url": "/me", "headers": headers}]
    await graph.ask("POST", "/$batch", {"requests": steps}, headers={"If-Match": "x"})
    batch, step = sorted(await control.journal(), key=lambda entry: entry.batch)
    assert (batch.headers["if-match"], step.headers) == ("x", {"prefer": 'outlook.timezone="UTC"'})
    assert batch.body
    assert '"Authorization":"…"' in batch.body
    assert "secret" not in (await graph.client.get("/sandbox/v1/journal")).text


async def test_a_method_is_found_in_small_letters_too(graph: Graph, control: SandboxControl) -> None:
    await graph.get("/me")
    assert [entry.path for entry in await control.journal(method="get", contains="/me")] == ["/v1.0/me"]
    assert await control.journal(method="patch", contains="/me") == []
