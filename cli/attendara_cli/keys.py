"""`attendara keys`: which keys auth's records stand on, and moving them to the active one."""

from collections.abc import Callable, Iterable

import msgspec

from attendara_cli.doors import Door, auth_door
from attendara_cli.settings import Settings

Say = Callable[[str], None]


class KeyUse(msgspec.Struct, frozen=True):
    """What `GET /keys` says of one key."""

    key: str
    known: bool
    active: bool
    records: int

    @property
    def line(self) -> str:
        state = "active" if self.active else "known" if self.known else "MISSING in TOKEN_KEYS"
        return f"{self.key}: {_records(self.records)} ({state})"


class Unopened(msgspec.Struct, frozen=True):
    connection: str
    key: str


class Rewrapped(msgspec.Struct, frozen=True):
    """What one call of `POST /keys/rotate` did; `after` is None at the end."""

    rewrapped: int
    unreadable: list[Unopened]
    after: str | None


async def list_keys(settings: Settings, say: Say) -> None:
    async with auth_door(settings) as door:
        _say_all(await _in_use(door), say)


async def rotate_keys(settings: Settings, say: Say) -> None:
    """Raises SystemExit when afterwards a record still stands on another key."""
    async with auth_door(settings) as door:
        before = await _in_use(door)
        active = next(use.key for use in before if use.active)
        say("Before:")
        _say_all(before, say)
        unreadable = await _rewrap_all(door, active, sum(use.records for use in before if not use.active), say)
        after = await _in_use(door)
        say("After:")
        _say_all(after, say)
    for record in unreadable:
        say(f"{record.connection} can't be opened with {record.key}; it was left as it is")
    if unreadable:
        raise SystemExit(f"{_records(len(unreadable))} can't be opened: a wrong key in TOKEN_KEYS, or a record that was changed")
    if left := sum(use.records for use in after if not use.active):
        raise SystemExit(f"{_records(left)} came to stand on another key meanwhile: run this again when auth's rollout is over")


async def _rewrap_all(door: Door, active: str, todo: int, say: Say) -> list[Unopened]:
    after: str | None = ""
    done, unreadable = 0, list[Unopened]()
    while after is not None:
        answer = await door.ask("POST", "/keys/rotate", json={"to": active, "after": after})
        part = msgspec.convert(answer, Rewrapped)
        done, after = done + part.rewrapped, part.after
        unreadable += part.unreadable
        say(f"  {done} of {todo} re-wrapped")
    return unreadable


async def forget_key(settings: Settings, key: str) -> str:
    """What to do next. Raises SystemExit while the key is needed, or when there is none of this name."""
    async with auth_door(settings) as door:
        uses = await _in_use(door)
    use = next((use for use in uses if use.key == key), None)
    if use is None:
        raise SystemExit(f"auth knows no key {key}; there are {', '.join(use.key for use in uses)}")
    if use.active:
        words = f"it is the active one, which wraps what is new, and {_records(use.records)}. Put another first in TOKEN_KEYS"
        raise SystemExit(f"{key} can't be forgotten: {words}")
    if use.records:
        raise SystemExit(f"{key} can't be forgotten: {_records(use.records)} can't be read without it. Run `attendara keys rotate`")
    return (
        f"No record needs {key}. Take it out of TOKEN_KEYS, and restart auth.\n"
        "Keep it for as long as you keep backups of MongoDB from before the rotation: they can't be read without it."
    )


async def _in_use(door: Door) -> list[KeyUse]:
    return msgspec.convert(await door.ask("GET", "/keys"), list[KeyUse])


def _say_all(uses: Iterable[KeyUse], say: Say) -> None:
    for use in uses:
        say(f"  {use.line}")


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count} records"
