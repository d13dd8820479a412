"""A clock that was days ahead and is put back to the real time: what had ended stays ended, and nothing lies in the future."""

from collections.abc import AsyncIterator

import pytest

from outlook_sandbox.client import SandboxControl
from tests.unit.sandbox.identity_client import CP1, WORK, Microsoft, microsoft
from tests.unit.sandbox.subscriber import Subscriber, subscriber


@pytest.fixture
async def app() -> AsyncIterator[Subscriber]:
    async with subscriber() as made:
        yield made


@pytest.fixture
async def door() -> AsyncIterator[Microsoft]:
    async with microsoft() as made:
        yield made


def control_of(app: Subscriber) -> SandboxControl:
    return SandboxControl(client=app.graph.client)


async def test_tokens_and_subscriptions_that_ended_stay_ended_though_nobody_looked(app: Subscriber) -> None:
    control, long = control_of(app), 10_000
    short_one, long_one = await app.subscribe(changeType="created"), await app.subscribe(changeType="deleted", minutes=long)
    await control.advance(days=1)
    await control.reset_clock()
    assert (await app.graph.ask("GET", "/me")).status_code == 401
    app.graph.token = app.graph.token_for("Calendars.ReadWrite")
    assert (await app.graph.ask("GET", f"/subscriptions/{short_one['id']}")).status_code == 404
    assert (await app.graph.ask("GET", f"/subscriptions/{long_one['id']}")).status_code == 200
    assert [found.id for found in await control.subscriptions()] == [long_one["id"]]


async def test_what_was_given_ahead_of_time_lives_no_longer_than_anything_else(app: Subscriber) -> None:
    control = control_of(app)
    await app.advance(days=30)
    await control.reset_clock()
    assert (await app.graph.ask("GET", "/me/calendars")).status_code == 200
    await control.advance(hours=1)
    assert (await app.graph.ask("GET", "/me/calendars")).status_code == 401


async def test_reauthorization_is_required_again_in_time(app: Subscriber) -> None:
    control = control_of(app)
    await app.subscribe(lifecycleNotificationUrl=app.there.url, minutes=10_000)
    for told in (1, 2):
        await control.advance(days=6)
        await app.there.until(lambda told=told: len(app.lifecycle()) == told)  # type: ignore[misc]
        await control.reset_clock()
    assert app.lifecycle() == ["reauthorizationRequired"] * 2


async def test_refresh_tokens_that_died_of_idleness_stay_dead(door: Microsoft) -> None:
    control, tokens = SandboxControl(client=door.http), await door.sign_in(WORK)
    await control.advance(days=91)
    fresh = await door.sign_in(WORK)
    await control.reset_clock()
    answer = await door.refresh(tokens["refresh_token"])
    assert answer.json()["error_codes"] == [700082]
    assert (await door.refresh(fresh["refresh_token"])).status_code == 200
    await control.advance(days=91)
    assert (await door.refresh(fresh["refresh_token"])).json()["error_codes"] == [700082]


async def test_a_challenge_ends_with_a_new_sign_in_and_strikes_what_was_given_ahead_of_time(door: Microsoft) -> None:
    control = SandboxControl(client=door.http)
    await control.advance(days=3)
    ahead = await door.sign_in(WORK, claims=CP1)
    await control.challenge(WORK.id)
    await control.reset_clock()
    assert (await door.me(ahead["access_token"])).status_code == 401
    again = await door.sign_in(WORK, claims=CP1)
    assert (await door.me(again["access_token"])).status_code == 200
    await control.advance(days=3)
    later = await door.sign_in(WORK, claims=CP1)
    await control.reset_clock()
    await control.challenge(WORK.id)
    assert (await door.me(later["access_token"])).status_code == 401
