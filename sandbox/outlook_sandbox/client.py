"""A typed client of the control API, for tests: what one does to the sandbox from behind, and what one asserts on.

    from outlook_sandbox.client import SandboxControl
    from outlook_sandbox.faults import Throttled

    async with SandboxControl("http://localhost:8410") as sandbox:
        tess = await sandbox.create_account("tess@ting.example", "Tess Ting", events=40)
        token = await sandbox.token(tess.id, "my-app", ["Calendars.ReadWrite"])
        async with sandbox.fault(Throttled(account=tess.id, path="/me/events", times=2)):
            ...  # let your program do its work
            await sandbox.wait_for_request(account=tess.id, contains="/me/events", status=429)
        await sandbox.advance(days=3)
        await sandbox.revoke(tess.id, "password-reset")

An account is named by its id or its user name. What the sandbox refuses is raised as SandboxError; that there is none, as
httpx2's own errors.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypedDict, TypeVar, Unpack
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, TypeAdapter, ValidationError

from outlook_sandbox.accounts import Kind
from outlook_sandbox.control.models import (
    LONGEST_WAIT,
    AccountChange,
    AccountOpened,
    AccountShown,
    AccountsPage,
    Advance,
    AppSettings,
    AppShown,
    CalendarShown,
    Color,
    ConsentShown,
    FaultKind,
    FaultShown,
    JournalQuery,
    JournalShown,
    LifecycleEvent,
    LifecycleWanted,
    Loaded,
    Move,
    Moved,
    NewAccount,
    NewCalendar,
    Now,
    Owner,
    Populated,
    Population,
    Problem,
    Reason,
    Revocation,
    SettingsShown,
    SubscriptionShown,
    TenantPolicy,
    TenantShown,
    TokenGiven,
    TokenWanted,
    UserConsent,
)
from outlook_sandbox.delivery.endpoints import EndpointShown
from outlook_sandbox.faults import AnyFault
from outlook_sandbox.journal import Entry

PREFIX = "/sandbox/v1"
PATIENCE = 30.0

Told = TypeVar("Told")


class SandboxError(Exception):
    """The sandbox refused: `status`, `title` and `detail` are those of its problem details."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail


class NotThere(SandboxError):
    """404: there is no such account, calendar, fault…"""


class Filter(TypedDict, total=False):
    """What must be true of requests; `contains` is part of the path, `since` the number of the last one seen."""

    since: int
    account: str
    app: str
    method: str
    contains: str
    status: int
    batch: bool


class SandboxControl:
    """Give an address, or a client of your own with a base address, which then is yours to close."""

    def __init__(self, base_url: str = "http://localhost:8410", client: httpx2.AsyncClient | None = None) -> None:
        self._client = client or httpx2.AsyncClient(base_url=base_url, trust_env=False, timeout=PATIENCE)
        self._is_ours = client is None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the client, unless it was given."""
        if self._is_ours:
            await self._client.aclose()

    # Accounts

    async def accounts(self, search: str = "") -> list[AccountShown]:
        """All of them by user name, or those with this in their name or user name."""
        found: list[AccountShown] = []
        page = AccountsPage(search=search, limit=1000)
        while listed := await self._get("/accounts", list[AccountShown], page):
            found += listed
            if len(listed) < page.limit:
                break
            page.after = listed[-1].username
        return found

    async def account(self, account: str) -> AccountOpened:
        """One, with its calendars."""
        return await self._get(_at("accounts", account), AccountOpened)

    async def create_account(
        self, username: str, name: str, *, kind: Kind = "work", tid: str | None = None, admin: bool = False, events: int = 0
    ) -> AccountOpened:
        """`events` made-up events go into its calendar; `tid` is its tenant, a new one if it is not given."""
        wanted = NewAccount(username=username, name=name, kind=kind, tid=tid, admin=admin, events=events)
        return await self._send("POST", "/accounts", AccountOpened, wanted)

    async def change_account(self, account: str, *, admin: bool | None = None, disabled: bool | None = None) -> AccountShown:
        """Make it an admin or not, disable or enable it."""
        change = AccountChange(admin=admin, disabled=disabled)
        return await self._send("PATCH", _at("accounts", account), AccountShown, change)

    async def delete_account(self, account: str) -> None:
        """With all that is its own; nobody is told."""
        await self._do("DELETE", _at("accounts", account))

    async def populate(self, wanted: Population) -> Populated:
        """Many accounts by one call."""
        return await self._send("POST", "/population", Populated, wanted)

    async def token(self, account: str, app: str, scopes: Sequence[str], *, cp1: bool = False) -> str:
        """An access token as sign-in and consent would give it; `cp1`: to a client that handles claims challenges."""
        wanted = TokenWanted(app=app, scopes=list(scopes), cp1=cp1)
        return (await self._send("POST", _at("accounts", account, "token"), TokenGiven, wanted)).access_token

    # Calendars

    async def create_calendar(
        self, account: str, name: str, *, owner: Owner | None = None, can_edit: bool | None = None, color: Color = "auto"
    ) -> CalendarShown:
        """The account's own or, with an owner, one that somebody else shares with it: read-only unless `can_edit`."""
        wanted = NewCalendar(name=name, owner=owner, can_edit=can_edit, color=color)
        return await self._send("POST", _at("accounts", account, "calendars"), CalendarShown, wanted)

    async def move_event(self, account: str, event: str, calendar: str) -> Moved:
        """Into another calendar, as a person does in Outlook; takes either id and gives both."""
        return await self._send("POST", _at("accounts", account, "move"), Moved, Move(event=event, calendar=calendar))

    async def load_ics(self, account: str, calendar: str, content: bytes) -> int:
        """Load an .ics file; how many events and series it brought. Nothing is loaded if SandboxError (400) is raised."""
        path = _at("accounts", account, "calendars", calendar, "ics")
        answer = await self._ask("POST", path, content=content, headers={"Content-Type": "text/calendar"})
        return _read(answer, Loaded).loaded

    async def export_ics(self, account: str, calendar: str) -> bytes:
        """The calendar as a file."""
        return (await self._ask("GET", _at("accounts", account, "calendars", calendar, "ics"))).content

    async def invalidate_delta(self, account: str, calendar: str) -> None:
        """Every delta and next link given so far is answered with 410."""
        await self._do("POST", _at("accounts", account, "calendars", calendar, "invalidate-delta"))

    # Identity

    async def revoke(self, account: str, reason: Reason = "user", *, at_once: bool = False) -> None:
        """End the account's grants to all apps; `at_once`: its access tokens too."""
        await self._do("POST", _at("accounts", account, "revoke"), Revocation(reason=reason, at_once=at_once))

    async def challenge(self, account: str) -> None:
        """Graph answers with a claims challenge (CAE) to clients that declared `cp1`."""
        await self._do("POST", _at("accounts", account, "challenge"))

    async def consents(self, account: str) -> list[ConsentShown]:
        """What the account has allowed which app."""
        return await self._get(_at("accounts", account, "consents"), list[ConsentShown])

    async def withdraw_consent(self, account: str, app: str) -> None:
        """The account allows the app nothing more."""
        await self._do("DELETE", _at("accounts", account, "consents", app))

    async def tenants(self) -> list[TenantShown]:
        """The organizations in which work accounts live."""
        return await self._get("/tenants", list[TenantShown])

    async def set_tenant_policy(self, tenant: str, user_consent: UserConsent, domain: str | None = None) -> TenantShown:
        """Whether its people may consent to an app themselves; with a domain, it need not exist yet."""
        policy = TenantPolicy(user_consent=user_consent, domain=domain)
        return await self._send("PUT", _at("tenants", tenant), TenantShown, policy)

    async def withdraw_tenant_consent(self, tenant: str, app: str) -> None:
        """What an admin has allowed the app for everyone is allowed no more."""
        await self._do("DELETE", _at("tenants", tenant, "consents", app))

    async def apps(self) -> list[AppShown]:
        """Those that are registered."""
        return await self._get("/apps", list[AppShown])

    async def app(self, app: str) -> AppShown:
        """One, by its client id."""
        return await self._get(_at("apps", app), AppShown)

    async def register_app(self, settings: AppSettings, app: str | None = None) -> AppShown:
        """A new app; with a client id, that one is as given, new or not."""
        if app is None:
            return await self._send("POST", "/apps", AppShown, settings)
        return await self._send("PUT", _at("apps", app), AppShown, settings)

    async def remove_app(self, app: str) -> None:
        """Forget an app."""
        await self._do("DELETE", _at("apps", app))

    # Faults

    @asynccontextmanager
    async def fault(self, fault: AnyFault) -> AsyncIterator[FaultShown]:
        """A fault that is on as long as the block lasts."""
        on = await self.switch_on(fault)
        try:
            yield on
        finally:
            with suppress(NotThere):
                await self.switch_off(on.id)

    async def switch_on(self, fault: AnyFault) -> FaultShown:
        """It works from the next request on."""
        return await self._send("POST", "/faults", FaultShown, fault)

    async def switch_off(self, fault: str) -> None:
        """By the id that `switch_on` gave."""
        await self._do("DELETE", _at("faults", fault))

    async def switch_all_off(self) -> None:
        """Nothing goes wrong any more."""
        await self._do("DELETE", "/faults")

    async def faults(self) -> list[FaultShown]:
        """Those that are on, and how often each has struck."""
        return await self._get("/faults", list[FaultShown])

    async def fault_kinds(self) -> list[FaultKind]:
        """All that can be switched on, with the JSON Schema of their settings."""
        return await self._get("/faults/kinds", list[FaultKind])

    # What was asked

    async def journal(self, **wanted: Unpack[Filter]) -> list[Entry]:
        """The requests that are as wanted, oldest first."""
        return (await self.read_journal(JournalQuery(**wanted))).entries

    async def wait_for_request(self, *, patience: float = PATIENCE, **wanted: Unpack[Filter]) -> Entry:
        """The first request that is as wanted, once there is one. It may have come before: `since` says from where to look.

        Raises TimeoutError if none comes for so many seconds.
        """
        query = JournalQuery(**wanted, limit=1)
        until = time.monotonic() + patience
        while True:
            query.wait = min(max(until - time.monotonic(), 0), LONGEST_WAIT)
            if found := (await self.read_journal(query)).entries:
                return found[0]
            if time.monotonic() >= until:
                raise TimeoutError(f"no such request came in {patience} s: {wanted}")

    async def last_request(self) -> int:
        """The number of the newest request, for a later `since`."""
        return (await self.read_journal(JournalQuery(limit=1, newest=True))).last

    async def read_journal(self, query: JournalQuery) -> JournalShown:
        """With everything that can be asked."""
        return await self._get("/journal", JournalShown, query, query.wait + PATIENCE)

    async def forget_journal(self) -> None:
        """Numbers go on."""
        await self._do("DELETE", "/journal")

    # Subscriptions

    async def subscriptions(self) -> list[SubscriptionShown]:
        """Every app's, of every account."""
        return await self._get("/subscriptions", list[SubscriptionShown])

    async def send_lifecycle(self, subscription: str, *events: LifecycleEvent) -> None:
        """Send lifecycle notifications now, in one post."""
        await self._do("POST", _at("subscriptions", subscription, "lifecycle"), LifecycleWanted(events=list(events)))

    async def deliveries(self) -> list[EndpointShown]:
        """Every address that notifications lately went to, how fast it answered, and how many wait."""
        return await self._get("/deliveries", list[EndpointShown])

    # The whole

    async def now(self) -> datetime:
        """What time it is there."""
        return (await self._get("/clock", Now)).now

    async def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> datetime:
        """Move all of the sandbox's time forward; what time it is then."""
        ahead = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        return (await self._send("POST", "/clock/advance", Now, Advance(seconds=ahead.total_seconds()))).now

    async def reset_clock(self) -> datetime:
        """Back to the real time."""
        return (await self._send("POST", "/clock/reset", Now)).now

    async def settings(self) -> SettingsShown:
        """How the sandbox was started."""
        return await self._get("/settings", SettingsShown)

    async def reset(self) -> None:
        """Forget everything and begin again."""
        await self._do("POST", "/reset")

    # How it is said

    async def _get(self, path: str, told: type[Told], query: BaseModel | None = None, patience: float = PATIENCE) -> Told:
        params = query.model_dump(exclude_defaults=True) if query else None
        return _read(await self._ask("GET", path, params=params, timeout=patience), told)

    async def _send(self, method: str, path: str, told: type[Told], body: BaseModel | None = None) -> Told:
        return _read(await self._do(method, path, body), told)

    async def _do(self, method: str, path: str, body: BaseModel | None = None) -> httpx2.Response:
        sent = None if body is None else body.model_dump(mode="json", by_alias=True)
        return await self._ask(method, path, json=sent)

    async def _ask(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        answer = await self._client.request(method, f"{PREFIX}{path}", **rest)
        if not answer.is_success:
            raise _refusal(answer)
        return answer


def _at(*parts: str) -> str:
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _read(answer: httpx2.Response, told: type[Told]) -> Told:
    return TypeAdapter(told).validate_json(answer.content)


def _refusal(answer: httpx2.Response) -> SandboxError:
    """Not everything that answers is a sandbox, and not every answer of one comes from its control API."""
    try:
        problem = Problem.model_validate_json(answer.content)
    except ValidationError:
        problem = Problem(title=answer.reason_phrase, status=answer.status_code, detail=answer.text[:500])
    kind = NotThere if answer.status_code == 404 else SandboxError
    return kind(problem.status, problem.title, problem.detail)
