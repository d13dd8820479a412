"""Microsoft's own SDK for Python against the sandbox: only the address and the place to sign in are other than Graph's."""

import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
import pytest
from azure.core.credentials import AccessToken
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider

from outlook_sandbox.accounts import Account, new_account
from outlook_sandbox.app import make_sandbox
from outlook_sandbox.database import Database
from outlook_sandbox.faults import Throttled
from outlook_sandbox.settings import Settings
from outlook_sandbox.state import Sandbox
from tests.consent import give_consent
from tests.graph_contract import checked_app
from tests.serving import serving
from tests.unit.sandbox.graph_client import endpoint

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # the SDK's modules warn of classes of their own, on import
    from kiota_abstractions.base_request_configuration import RequestConfiguration
    from kiota_abstractions.request_information import RequestInformation
    from kiota_http.kiota_client_factory import KiotaClientFactory
    from msgraph.generated.models.category_color import CategoryColor
    from msgraph.generated.models.date_time_time_zone import DateTimeTimeZone
    from msgraph.generated.models.event import Event
    from msgraph.generated.models.event_type import EventType
    from msgraph.generated.models.o_data_errors.o_data_error import ODataError
    from msgraph.generated.models.outlook_category import OutlookCategory
    from msgraph.generated.models.subscription import Subscription
    from msgraph.generated.models.user import User
    from msgraph.generated.users.item.calendars.item.calendar_view.calendar_view_request_builder import CalendarViewRequestBuilder
    from msgraph.generated.users.item.calendars.item.calendar_view.delta.delta_request_builder import DeltaRequestBuilder
    from msgraph.graph_request_adapter import GraphRequestAdapter, options
    from msgraph.graph_service_client import GraphServiceClient
    from msgraph_core import GraphClientFactory
    from msgraph_core.requests.batch_request_content import BatchRequestContent
    from msgraph_core.requests.batch_request_item import BatchRequestItem

# It imports most of its modules when they are first used.
pytestmark = pytest.mark.filterwarnings("ignore:This class is deprecated:DeprecationWarning:msgraph.generated")
SCOPES = ["User.Read", "Calendars.ReadWrite", "MailboxSettings.ReadWrite"]
WINDOW: dict[str, Any] = {"start_date_time": "2026-11-01T00:00:00Z", "end_date_time": "2026-12-31T00:00:00Z"}


@dataclass
class SignedIn:
    """The token of a person who signed in, as the SDK asks a credential for it."""

    token: str

    def get_token(
        self, *_: str, claims: str | None = None, tenant_id: str | None = None, enable_cae: bool = False, **__: Any
    ) -> AccessToken:
        return AccessToken(self.token, int((datetime.now(UTC) + timedelta(hours=1)).timestamp()))


@dataclass
class World:
    sandbox: Sandbox
    account: Account
    graph: GraphServiceClient
    calendar: str

    @property
    def events(self) -> Any:
        return self.graph.me.calendars.by_calendar_id(self.calendar).events

    @property
    def view(self) -> Any:
        return self.graph.me.calendars.by_calendar_id(self.calendar).calendar_view


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made: list[Sandbox] = []

    def make(url: str) -> Any:
        made.append(make_sandbox(Settings(http_port=urlsplit(url).port or 0, kafka_bootstrap_servers=None), Database()))
        return checked_app(made[0])

    async with AsyncExitStack() as leaving:
        url = await leaving.enter_async_context(serving(make))
        account = made[0].accounts.add(new_account("work", "tess@ting.example", "Tess Ting"))
        http = KiotaClientFactory.get_default_client()
        leaving.push_async_callback(http._transport.aclose)  # the SDK's own transport doesn't close the one below it
        http = GraphClientFactory.create_with_default_middleware(client=http, options=options)
        credential = SignedIn(await _sign_in(url, made[0].settings, account))
        adapter = GraphRequestAdapter(AzureIdentityAuthenticationProvider(credential, scopes=SCOPES), client=http)
        adapter.base_url = f"{url}/v1.0"
        graph = GraphServiceClient(request_adapter=adapter)
        calendar = await graph.me.calendar.get()
        assert calendar
        assert calendar.id
        yield World(made[0], account, graph, calendar.id)


async def _sign_in(url: str, settings: Settings, account: Account) -> str:
    """An access token through the pages and the token endpoint, as any app gets one."""
    back = next(iter(settings.microsoft_redirects))
    asked = {"client_id": settings.client_id, "redirect_uri": back, "scope": " ".join(SCOPES)}
    authorize = f"{url}/organizations/oauth2/v2.0/authorize?{urlencode(asked | {'response_type': 'code', 'state': 's'})}"
    code = (await give_consent(authorize, account.username))["code"]
    secret = settings.client_secret.get_secret_value()
    form = asked | {"grant_type": "authorization_code", "code": code, "client_secret": secret}
    async with httpx2.AsyncClient() as app:
        answer = await app.post(f"{url}/organizations/oauth2/v2.0/token", data=form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def event(subject: str, day: int) -> Event:
    times = (DateTimeTimeZone(date_time=f"2026-11-{day:02}T{hour}:00", time_zone="UTC") for hour in ("09:00", "09:30"))
    start, end = times
    return Event(subject=subject, start=start, end=end)


async def test_who_signed_in_has_a_name_and_calendars(world: World) -> None:
    me = await world.graph.me.get()
    assert isinstance(me, User)
    assert (me.display_name, me.user_principal_name) == ("Tess Ting", "tess@ting.example")
    listed = await world.graph.me.calendars.get()
    assert listed
    assert listed.value
    (own,) = [calendar for calendar in listed.value if calendar.is_default_calendar]
    assert own.id == world.calendar
    assert own.can_edit
    assert own.owner
    assert own.owner.address == "tess@ting.example"


async def test_a_calendar_view_comes_in_pages(world: World) -> None:
    for day in (3, 4, 5):
        await world.events.post(event(f"Massage {day}", day))
    wanted = CalendarViewRequestBuilder.CalendarViewRequestBuilderGetQueryParameters(top=2, orderby=["start/dateTime"], **WINDOW)
    page = await world.view.get(RequestConfiguration(query_parameters=wanted))
    assert [found.subject for found in page.value] == ["Massage 3", "Massage 4"]
    assert isinstance(page.value[0], Event)
    assert page.value[0].start
    assert page.value[0].start.date_time == "2026-11-03T09:00:00.0000000"
    assert page.value[0].type is EventType.SingleInstance
    last = await world.view.with_url(page.odata_next_link).get()
    assert [found.subject for found in last.value] == ["Massage 5"]
    assert last.odata_next_link is None


async def _round(world: World, page: Any) -> tuple[list[Event], str]:
    """All items of a round from its first page on, and the delta link at its end."""
    items: list[Event] = []
    while True:
        items += page.value
        if page.odata_delta_link:
            return items, page.odata_delta_link
        page = await world.view.delta.with_url(page.odata_next_link).get(_paged())


def _paged(**query: Any) -> Any:
    given = DeltaRequestBuilder.DeltaRequestBuilderGetQueryParameters(**query) if query else None
    configuration: Any = RequestConfiguration(query_parameters=given)
    configuration.headers.add("Prefer", "odata.maxpagesize=2")
    return configuration


async def test_delta_goes_through_pages_to_a_later_round(world: World) -> None:
    made = [await world.events.post(event(f"Massage {day}", day)) for day in range(3, 8)]
    first = await world.view.delta.get(_paged(**WINDOW))
    assert len(first.value) == 2
    items, link = await _round(world, first)
    assert {item.subject for item in items} == {f"Massage {day}" for day in range(3, 8)}

    await world.events.by_event_id(made[0].id).patch(Event(subject="Moved"))
    await world.events.by_event_id(made[1].id).delete()
    later, newest = await _round(world, await world.view.delta.with_url(link).get(_paged()))
    changed = {item.id: item for item in later}
    assert changed[made[0].id].subject == "Moved"
    assert changed[made[1].id].additional_data["@removed"] == {"reason": "deleted"}
    assert changed[made[1].id].subject is None
    assert newest != link


async def test_an_event_lives_from_create_to_delete(world: World) -> None:
    made = await world.events.post(event("Massage", 24))
    assert made.created_date_time.tzinfo is not None
    etag = made.additional_data["@odata.etag"]
    one = world.events.by_event_id(made.id)
    changed = await one.patch(Event(categories=["Green category"]))
    assert changed.categories == ["Green category"]
    assert changed.subject == "Massage"

    with pytest.raises(ODataError) as refused:
        await one.patch(Event(subject="Too late"), _if_match(etag))
    assert refused.value.response_status_code == 412
    assert refused.value.error
    assert refused.value.error.code == "ErrorIrresolvableConflict"
    assert refused.value.error.inner_error
    assert refused.value.error.inner_error.request_id
    renamed = await one.patch(Event(subject="In time"), _if_match(changed.additional_data["@odata.etag"]))
    assert renamed.subject == "In time"

    await one.delete()
    with pytest.raises(ODataError) as gone:
        await one.get()
    assert gone.value.response_status_code == 404
    assert gone.value.error
    assert gone.value.error.code == "ErrorItemNotFound"


def _if_match(etag: str) -> Any:
    configuration: Any = RequestConfiguration()
    configuration.headers.add("If-Match", etag)
    return configuration


async def test_a_subscription_lives_from_create_to_delete(world: World) -> None:
    until = datetime.now(UTC) + timedelta(hours=2)
    async with endpoint() as there:
        wanted = Subscription(
            change_type="created,updated,deleted",
            notification_url=there.url,
            resource=f"/me/calendars/{world.calendar}/events",
            expiration_date_time=until,
            client_state="between us",
        )
        made = await world.graph.subscriptions.post(wanted)
        assert isinstance(made, Subscription)
        assert made.id
        assert made.expiration_date_time == until
        assert len(there.handshakes) == 1

        created = await world.events.post(event("Massage", 24))
        await there.until(lambda: bool(there.notifications))
        assert there.notifications[0]["clientState"] == "between us"
        assert there.notifications[0]["resourceData"]["id"] == created.id

        one = world.graph.subscriptions.by_subscription_id(made.id)
        renewed = await one.patch(Subscription(expiration_date_time=until + timedelta(hours=1)))
        assert renewed
        assert renewed.expiration_date_time == until + timedelta(hours=1)
        await one.reauthorize.post()
        listed = await world.graph.subscriptions.get()
        assert listed
        assert [entry.id for entry in listed.value or []] == [made.id]
        await one.delete()
        with pytest.raises(ODataError) as gone:
            await one.get()
        assert gone.value.response_status_code == 404


async def test_a_batch_answers_each_request_for_itself(world: World) -> None:
    """By its status: this version of the SDK drops bodies that are JSON objects (kiota-python issue 737)."""
    made = await world.events.post(event("Massage", 24))
    requests: dict[str, RequestInformation] = {
        "me": world.graph.me.to_get_request_information(),
        "rename": world.events.by_event_id(made.id).to_patch_request_information(Event(subject="Renamed")),
        "nothing": world.events.by_event_id("nothing").to_get_request_information(),
    }
    items = {name: BatchRequestItem(request, id=name) for name, request in requests.items()}
    answers: Any = await world.graph.batch.post(BatchRequestContent(items))
    assert answers.get_response_status_codes() == {"me": 200, "rename": 200, "nothing": 404}
    assert answers.get_response_by_id("me").content_type.startswith("application/json")
    assert (await world.events.by_event_id(made.id).get()).subject == "Renamed"


async def test_a_category_lives_from_create_to_delete(world: World) -> None:
    categories = world.graph.me.outlook.master_categories
    listed = await categories.get()
    assert listed
    names = {entry.display_name: entry.color for entry in listed.value or []}
    assert names["Red category"] is CategoryColor.Preset0

    made = await categories.post(OutlookCategory(display_name="Confirmed", color=CategoryColor.Preset4))
    assert made
    assert made.id
    one = categories.by_outlook_category_id(made.id)
    changed = await one.patch(OutlookCategory(color=CategoryColor.Preset7))
    assert changed
    assert (changed.display_name, changed.color) == ("Confirmed", CategoryColor.Preset7)
    await one.delete()
    with pytest.raises(ODataError):
        await one.get()


async def test_the_sdk_waits_as_long_as_a_throttled_answer_says(world: World) -> None:
    world.sandbox.faults.add(Throttled(account=world.account.id, retry_after="1", times=1))
    me = await world.graph.me.get()
    assert me
    assert me.display_name == "Tess Ting"
    asked = [entry.status for entry in world.sandbox.journal.entries(0) if entry.path.endswith(("/me", "/me-token-to-replace"))]
    assert asked == [429, 200]
