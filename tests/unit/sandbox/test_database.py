"""What the sandbox keeps comes back as it was, in the order in which it first came."""

import sqlite3
from pathlib import Path

from outlook_sandbox.accounts import new_account
from outlook_sandbox.app import make_sandbox
from outlook_sandbox.database import Database
from outlook_sandbox.settings import Settings
from tests.unit.sandbox.graph_client import sandbox_graph


def test_documents_come_back_in_their_first_order_though_some_were_changed(tmp_path: Path) -> None:
    before = Database(tmp_path / "sandbox.sqlite")
    for name in ("zebra", "ape", "mole"):
        before.put("animal", name, {"name": name})
        before.flush()
    before.put("animal", "zebra", {"name": "Zebra"})
    before.close()
    after = Database(tmp_path / "sandbox.sqlite")
    assert list(after.load("animal").values()) == [{"name": "Zebra"}, {"name": "ape"}, {"name": "mole"}]
    after.close()


async def test_data_of_the_first_version_is_divided_among_its_mailboxes(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.sqlite"
    async with sandbox_graph(database=Database(path)) as graph:
        made = await graph.create("Massage")
        deleted = await graph.create("Gone")
        await graph.delta()
        await graph.ask("DELETE", f"/me/events/{deleted['id']}")
        graph.sandbox.database.close()
    with sqlite3.connect(path) as stored:
        stored.execute("UPDATE documents SET kind = substr(kind, 1, instr(kind, ' ') - 1) WHERE kind LIKE '% ________-%'")
    stored.close()
    reopened = make_sandbox(Settings(), Database(path))
    mailbox = reopened.mailboxes.of(graph.account)
    assert [event.id for event in mailbox.in_calendar(graph.calendar)] == [mailbox.find(made["id"]).id]  # type: ignore[union-attr]
    assert len(mailbox.categories) == 6
    assert len(list(mailbox.changes(graph.calendar, 0))) == 2
    assert not reopened.database.load("event")
    reopened.database.close()


async def test_a_mailbox_is_filled_when_it_is_first_opened_and_stays_as_it_was_left(tmp_path: Path) -> None:
    sandbox = make_sandbox(Settings(), Database(tmp_path / "sandbox.sqlite"))
    account = sandbox.accounts.add(new_account("work", "vera@ting.example", "Vera Ting", events=50))
    mailbox = sandbox.mailboxes.of(account)
    assert len(mailbox.events) == 50
    first = mailbox.in_calendar(mailbox.default_calendar.id)[0]  # type: ignore[union-attr]
    mailbox.remove(first)
    sandbox.database.close()
    reopened = make_sandbox(Settings(), Database(tmp_path / "sandbox.sqlite"))
    again = reopened.mailboxes.of(account)
    assert len(again.events) == 49
    assert again.find(first.id) is None
    reopened.database.close()
