"""auth proves itself with certificates and secrets, and changes from one to the other while people sign in."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase
from structlog.testing import capture_logs

from auth.settings import Settings
from outlook_sandbox.client import SandboxControl
from outlook_sandbox.control.models import AccountOpened, AppSecret, AppSettings, AppShown
from tests.integration.auth_world import RETURN, Auth, Document, running
from tests.unit.sandbox.identity_client import Certificate, make_certificate

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class App:
    """An app registration of its own at the sandbox, and a replica of auth that speaks as it."""

    control: SandboxControl
    settings: Settings
    folder: Path
    place: dict[str, Any]
    shown: AppShown | None = None
    files: list[Path] = field(default_factory=list)

    async def register(self, *secrets: str, expired: Sequence[str] = (), certificates: Sequence[Certificate] = ()) -> None:
        """From now on these are its credentials at Microsoft."""
        known = [AppSecret(value=secret, expires_at=LONG_AGO if secret in expired else None) for secret in secrets]
        pems = [certificate.pem for certificate in certificates]
        wanted = AppSettings(name="Rotated", redirect_uris=[RETURN], secrets=known, certificates=pems)
        self.shown = await self.control.register_app(wanted, self.shown.id if self.shown else None)

    def keep(self, name: str, content: str) -> Path:
        fresh = self.folder / f"{name}.new"
        fresh.write_text(content)
        return fresh.rename(self.folder / name)

    @asynccontextmanager
    async def replica(self, **told: str) -> AsyncIterator[Auth]:
        """`told`: its credentials, as the environment has them."""
        assert self.shown
        given = Settings(**{"microsoft_client_secret": "", "microsoft_client_id": self.shown.id} | told)  # type: ignore[arg-type]
        async with running(given, **self.place) as auth:
            await auth.ready()
            yield auth


@pytest.fixture
def app(
    control: SandboxControl,
    settings: Settings,
    tmp_path: Path,
    database: AsyncDatabase[Document],
    redis_url: str,
    organization: str,
) -> App:
    place = {"database": database, "redis_url": redis_url, "organization": organization}
    return App(control, settings, tmp_path, place)


def complaints(lines: Sequence[Any]) -> list[str]:
    return [line["credential"] for line in lines if line["event"] == "Microsoft refuses a credential of this app"]


async def test_a_certificate_signs_people_in_and_refreshes(app: App, person: AccountOpened) -> None:
    certificate = make_certificate()
    await app.register(certificates=[certificate])
    file = app.keep("app.pem", certificate.pem + certificate.key)

    async with app.replica(microsoft_client_certificate=str(file)) as auth:
        connection = await auth.connected(person.username)
        refreshed = await auth.token(connection, claims="{}")

    assert refreshed.status_code == 200
    assert all("client_assertion" in form and "client_secret" not in form for form in auth.wire.sent)


@pytest.mark.parametrize(("known", "expired"), [(["old", "new"], ["old"]), (["new"], [])], ids=["expired", "deleted"])
async def test_where_the_first_secret_is_no_longer_good_the_second_is_used(
    app: App, person: AccountOpened, known: list[str], expired: list[str]
) -> None:
    await app.register(*known, expired=expired)
    with capture_logs() as lines:
        async with app.replica(microsoft_client_secret="old,new") as auth:
            connection = await auth.connected(person.username)
            answers = [await auth.token(connection, claims="{}") for _ in range(3)]

    assert {answer.status_code for answer in answers} == {200}
    assert [form["client_secret"] for form in auth.wire.sent] == ["old", "new", "new", "new", "new"]
    assert complaints(lines) == ["secret 1"]


async def test_a_secret_that_expires_in_use_costs_nobody_a_calendar(app: App, person: AccountOpened) -> None:
    await app.register("old", "new")
    async with app.replica(microsoft_client_secret="old,new") as auth:
        connection = await auth.connected(person.username)
        await app.register("old", "new", expired=["old"])
        refreshed = await auth.token(connection, claims="{}")

    assert refreshed.status_code == 200
    assert [form["client_secret"] for form in auth.wire.sent] == ["old", "old", "new"]


async def test_a_certificate_that_microsoft_does_not_know_yet_leaves_the_secret_in_use(app: App, person: AccountOpened) -> None:
    certificate = make_certificate()
    await app.register("one")
    file = app.keep("app.pem", certificate.pem + certificate.key)

    with capture_logs() as lines:
        async with app.replica(microsoft_client_certificate=str(file), microsoft_client_secret="one") as auth:
            await auth.connected(person.username)

    assert ["client_assertion" in form for form in auth.wire.sent] == [True, False]
    assert [name.partition(" ")[0] for name in complaints(lines)] == ["certificate"]


async def test_a_mounted_secret_is_rotated_without_a_restart(app: App, person: AccountOpened) -> None:
    await app.register("old")
    file = app.keep("secret", "old\n")
    async with app.replica(microsoft_client_secret_file=str(file)) as auth:
        connection = await auth.connected(person.username)
        await app.register("old", "new")
        app.keep("secret", "new\nold\n")
        both = await auth.token(connection, claims="{}")
        await app.register("new")
        alone = await auth.token(connection, claims="{}")

    assert (both.status_code, alone.status_code) == (200, 200)
    assert [form["client_secret"] for form in auth.wire.sent] == ["old", "new", "new"]


async def test_a_mounted_certificate_is_rotated_without_a_restart(app: App, person: AccountOpened) -> None:
    old, new = make_certificate(timedelta(days=1)), make_certificate()
    await app.register(certificates=[old, new])
    pem, key = app.keep("tls.crt", old.pem), app.keep("tls.key", old.key)
    async with app.replica(microsoft_client_certificate=str(pem), microsoft_client_key=str(key)) as auth:
        connection = await auth.connected(person.username)
        app.keep("tls.crt", new.pem)
        app.keep("tls.key", new.key)
        await app.register(certificates=[new])
        refreshed = await auth.token(connection, claims="{}")

    assert refreshed.status_code == 200


async def test_when_none_is_good_it_is_our_trouble_and_no_connection_ends(app: App, person: AccountOpened) -> None:
    await app.register("old", "new")
    async with app.replica(microsoft_client_secret="old,new") as auth:
        connection = await auth.connected(person.username)
        await app.register("old", "new", expired=["old", "new"])
        refused = await auth.token(connection, claims="{}")
        ended = await auth.connect(person.username)
        ready = await auth.http.get("/readyz")
        kept = await auth.token(connection)
        await app.register("another", "new")
        healed = await auth.token(connection, claims="{}")

    assert (refused.status_code, refused.json()["title"]) == (503, "app-misconfigured")
    assert ended["outcome"] == "app-misconfigured"
    assert (ready.status_code, kept.status_code, healed.status_code) == (200, 200, 200)
    assert (await auth.stored(connection))["state"] == "active"


async def test_no_secret_is_in_the_log_of_a_rotation(app: App, person: AccountOpened, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    await app.register("hush-new")
    with capture_logs() as lines:
        async with app.replica(microsoft_client_secret="hush-old,hush-new") as auth:
            await auth.connected(person.username)

    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("pymongo", "httpcore"))]
    assert "hush" not in repr(lines) + repr(ours)
