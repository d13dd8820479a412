"""`attendara keys`: what an operator reads, and with which code the command ends."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from typer.testing import CliRunner

from attendara_cli.__main__ import app
from attendara_cli.keys import forget_key, list_keys, rotate_keys
from attendara_cli.settings import Settings
from common.web import problem
from tests.serving import serving


@dataclass
class KeysDoor:
    """auth's doors of keys: `parts` are what the calls of a rotation answer, `uses` what each question for the keys does."""

    uses: list[dict[str, int]]
    active: str = "new"
    known: tuple[str, ...] = ("new", "old")
    parts: list[Any] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)

    @property
    def app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)
        app.get("/internal/v1/keys")(self.keys)
        app.post("/internal/v1/keys/rotate", response_model=None)(self.rotate)
        return app

    async def keys(self) -> list[dict[str, Any]]:
        uses = self.uses.pop(0) if len(self.uses) > 1 else self.uses[0]
        return [
            {"key": key, "known": key in self.known, "active": key == self.active, "records": records}
            for key, records in uses.items()
        ]

    async def rotate(self, body: dict[str, Any]) -> Any:
        self.asked.append(body)
        return self.parts.pop(0)


def part(rewrapped: int, after: str | None = None, *unreadable: str) -> dict[str, Any]:
    named = [{"connection": connection, "key": "old"} for connection in unreadable]
    return {"active": "new", "rewrapped": rewrapped, "overtaken": 0, "unreadable": named, "after": after}


def unread(_: str) -> None:
    """Nobody reads what is said."""


@pytest.fixture
async def door() -> AsyncIterator[tuple[KeysDoor, Settings]]:
    fake = KeysDoor([{"new": 3, "old": 400}, {"new": 403, "old": 0}])
    async with serving(lambda _: fake.app) as url:
        yield fake, Settings(auth_url=url, service_credential=SecretStr("cli:secret"))


Door = tuple[KeysDoor, Settings]


async def test_a_rotation_shows_where_it_begins_how_it_goes_and_where_it_ends(door: Door) -> None:
    fake, settings = door
    fake.parts = [part(300, "con_300"), part(100)]
    said: list[str] = []

    await rotate_keys(settings, said.append)

    assert said == [
        *("Before:", "  new: 3 records (active)", "  old: 400 records (known)"),
        *("  300 of 400 re-wrapped", "  400 of 400 re-wrapped"),
        *("After:", "  new: 403 records (active)", "  old: 0 records (known)"),
    ]
    assert fake.asked == [{"to": "new", "after": ""}, {"to": "new", "after": "con_300"}]


async def test_records_that_can_not_be_opened_are_named_and_end_it_with_an_error(door: Door) -> None:
    fake, settings = door
    fake.uses[1] = {"new": 401, "old": 2}
    fake.parts = [part(299, "con_300", "con_a"), part(99, None, "con_b")]
    said: list[str] = []

    with pytest.raises(SystemExit, match="2 records can't be opened"):
        await rotate_keys(settings, said.append)

    assert said[-2:] == [f"con_{one} can't be opened with old; it was left as it is" for one in "ab"]


async def test_records_that_came_to_stand_on_another_key_meanwhile_end_it_with_an_error(door: Door) -> None:
    fake, settings = door
    fake.uses[1] = {"new": 403, "old": 1}
    fake.parts = [part(400)]

    with pytest.raises(SystemExit, match="1 record came to stand on another key meanwhile"):
        await rotate_keys(settings, unread)


async def test_a_replica_with_another_active_key_ends_it_in_its_own_words(door: Door) -> None:
    fake, settings = door
    fake.parts = [problem(409, "another-active-key", "this replica's active key is 'old'")]

    with pytest.raises(SystemExit, match="refused: 409 this replica's active key is 'old'"):
        await rotate_keys(settings, unread)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("new", "new can't be forgotten: it is the active one"),
        ("old", "old can't be forgotten: 400 records can't be read without it"),
        ("older", "auth knows no key older; there are new, old"),
    ],
)
async def test_a_key_that_is_needed_is_not_forgotten(door: Door, key: str, words: str) -> None:
    with pytest.raises(SystemExit, match=words):
        await forget_key(door[1], key)


async def test_a_key_that_nothing_needs_may_be_taken_out(door: Door) -> None:
    door[0].uses.pop(0)
    assert (await forget_key(door[1], "old")).startswith("No record needs old. Take it out of TOKEN_KEYS, and restart auth.")


async def test_a_key_that_auth_does_not_have_is_listed_as_missing(door: Door) -> None:
    fake, settings = door
    fake.uses = [{"new": 1, "lost": 2}]
    said: list[str] = []

    await list_keys(settings, said.append)

    assert said == ["  new: 1 record (active)", "  lost: 2 records (MISSING in TOKEN_KEYS)"]


def test_the_command_ends_with_1_and_one_line_when_auth_can_not_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_URL", "http://localhost:1")
    without = CliRunner().invoke(app, ["keys", "list"])
    monkeypatch.setenv("SERVICE_CREDENTIAL", "cli:secret")
    away = CliRunner().invoke(app, ["keys", "forget", "old"])

    assert (without.exit_code, away.exit_code) == (1, 1)
    assert "SERVICE_CREDENTIAL is needed" in without.output
    assert "auth at http://localhost:1 can't be reached: ConnectError" in away.output


def test_the_order_of_a_rotation_stands_in_the_commands_help() -> None:
    help_text = " ".join(CliRunner().invoke(app, ["keys", "--help"]).output.split())

    steps = ["behind the old one", "Put the new key first", "attendara keys rotate", "attendara keys forget OLD"]
    places = [help_text.index(step) for step in steps]
    assert places == sorted(places)
