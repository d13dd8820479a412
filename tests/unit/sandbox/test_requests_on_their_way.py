"""Requests that are being worked on while the sandbox is reset, or their account deleted: they leave nothing behind."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from outlook_sandbox.app import make_sandbox
from outlook_sandbox.client import SandboxControl
from outlook_sandbox.database import Database
from outlook_sandbox.faults import Slow
from outlook_sandbox.seed import WORK
from outlook_sandbox.settings import Settings
from tests.serving import until
from tests.unit.sandbox.graph_client import APP, EVERYTHING, Graph, event, sandbox_graph
from tests.unit.sandbox.subscriber import Subscriber, subscriber

Ending = Callable[[Graph], Awaitable[None]]


async def _reset(graph: Graph) -> None:
    await SandboxControl(client=graph.client).reset()


async def _delete(graph: Graph) -> None:
    await SandboxControl(client=graph.client).delete_account(graph.account.id)


async def _subscribe_until_shaken_hands(app: Subscriber, ending: Ending) -> int:
    """The status of a create whose account ends while the notification address is asked."""
    app.there.awake.clear()
    asking = asyncio.create_task(app.ask())
    await app.there.until(lambda: bool(app.there.handshakes))
    await ending(app.graph)
    app.there.awake.set()
    return (await asking).status_code


@pytest.mark.parametrize("ending", [_reset, _delete])
async def test_nobody_is_subscribed_whose_account_ended_during_the_handshake(ending: Ending) -> None:
    async with subscriber() as app:
        assert await _subscribe_until_shaken_hands(app, ending) == 401
        assert app.graph.sandbox.subscriptions.all() == []


async def test_an_event_that_is_made_after_a_reset_by_a_request_from_before_is_not_kept(tmp_path: Path) -> None:
    database = Database(tmp_path / "sandbox.sqlite")
    async with sandbox_graph(database=database) as graph:
        control = SandboxControl(client=graph.client)
        token = graph.sandbox.tokens.issue(WORK.id, APP, EVERYTHING).access_token
        await control.switch_on(Slow(seconds=600, path="/me/events"))
        asking = asyncio.create_task(graph.ask("POST", "/me/events", event("Late"), token=token))
        await until(lambda: any(armed.struck for armed in graph.sandbox.faults.all()))
        await control.reset()
        await control.advance(seconds=600)
        assert (await asking).status_code == 201
    database.close()
    again = make_sandbox(Settings(), Database(tmp_path / "sandbox.sqlite"))
    subjects = [found.fields["subject"] for found in again.mailboxes.of(WORK).events.values()]
    assert subjects
    assert "Late" not in subjects
    again.database.close()
