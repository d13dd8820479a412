"""What the control API takes and gives, for its routes and for the client: this file needs no server."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from outlook_sandbox.accounts import Kind
from outlook_sandbox.faults import AnyFault
from outlook_sandbox.journal import Entry

LONGEST_WAIT = 60.0
LONGEST_ADVANCE = 366 * 24 * 3600.0
Color = Literal[
    "auto", "lightBlue", "lightGreen", "lightOrange", "lightGray",
    "lightYellow", "lightTeal", "lightPink", "lightBrown", "lightRed",
]  # fmt: skip
UserConsent = Literal["allowed", "forbidden", "by-request"]
Audience = Literal["AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"]
Reason = Literal["user", "admin", "password-reset", "password-change", "disabled"]
LifecycleEvent = Literal["reauthorizationRequired", "subscriptionRemoved", "missed"]
Identifier = Annotated[str, Field(min_length=1, max_length=500)]


def _address(text: str) -> str:
    """Raises ValueError for what has no host, such as `http://[`: nobody could be sent there."""
    if not urlsplit(text).netloc:
        raise ValueError("must be an absolute address")
    return text


RedirectUri = Annotated[Identifier, AfterValidator(_address)]
Guid = Annotated[
    str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", examples=["c1f6d8e2-5a37-4b90-8e64-2f9b7d103c55"])
]
Domain = Annotated[str, Field(pattern=r"^[^@/\s]+$", min_length=1, max_length=200, examples=["bergpraxis.example"])]


class Asked(BaseModel):
    """What is sent: nothing that isn't known."""

    model_config = ConfigDict(extra="forbid")


class GraphNamed(BaseModel):
    """Things of Graph keep Graph's names on the wire."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Problem(BaseModel):
    """Why something was refused (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no such account."])


class Owner(BaseModel):
    """Whose calendar it is."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200, examples=["Sabine Berg"])
    address: str = Field(min_length=3, max_length=200, examples=["sabine.berg@bergpraxis.example"])


class CalendarShown(GraphNamed):
    """A calendar as Graph lists it, as far as one looks at it from behind, and how many events and series it holds."""

    id: str
    name: str
    color: Color
    can_edit: bool
    is_default_calendar: bool
    owner: Owner
    events: int


class NewCalendar(GraphNamed):
    """A calendar of the account's own or, with an owner, one that somebody else shares with it, read-only unless `canEdit`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "Room 2"}]})

    name: str = Field(min_length=1, max_length=255)
    color: Color = "auto"
    owner: Owner | None = None
    can_edit: bool | None = Field(default=None, description="none: an own calendar can be edited, a shared one can't")


class AccountShown(BaseModel):
    """Who may be picked on the sign-in page."""

    id: str = Field(description="the oid, also Graph's user id")
    tid: str = Field(description="the tenant")
    username: str = Field(examples=["anna.keller@bergpraxis.example"])
    name: str
    kind: Kind
    admin: bool = Field(description="may consent for the whole tenant")
    disabled: bool = Field(description="can neither sign in nor refresh")


class AccountOpened(AccountShown):
    """An account with what its mailbox holds."""

    calendars: list[CalendarShown]


class NewAccount(Asked):
    """A person of this Microsoft. `events` made-up events over the weeks around today go into the account's own calendar."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"username": "tess@ting.example", "name": "Tess Ting"}]})

    username: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=200)
    name: str = Field(min_length=1, max_length=200)
    kind: Kind = "work"
    tid: Guid | None = Field(default=None, description="the tenant of a work account; none: a new one")
    admin: bool = Field(default=False, description="a work account that may consent for its whole tenant")
    events: int = Field(default=0, ge=0, le=200_000)

    @model_validator(mode="after")
    def _personal_accounts_have_no_tenant(self) -> Self:
        if self.kind == "personal" and (self.tid or self.admin):
            raise ValueError("a personal account has neither a tenant nor an admin")
        return self


class Population(Asked):
    """Work accounts `person1@…` and on, in a tenant of their own. With an `app`, each comes with an access token for it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"mailboxes": 2000, "events": 200}]})

    mailboxes: int = Field(ge=1, le=10_000)
    events: int = Field(default=0, ge=0, le=10_000)
    domain: str = Field(default="population.example", min_length=3, max_length=100, pattern=r"^[a-z0-9.-]+$")
    app: Identifier | None = None
    scopes: list[Identifier] = Field(default=["User.Read", "Calendars.ReadWrite", "MailboxSettings.ReadWrite"], max_length=100)


class Inhabitant(BaseModel):
    id: str
    username: str
    access_token: str | None


class Populated(BaseModel):
    """The tenant that was made, and who lives there."""

    tid: str
    accounts: list[Inhabitant]


class AccountsPage(Asked):
    """Accounts are listed by user name; a page that is full may have a next one, after its last user name."""

    search: str = Field(default="", max_length=200, description="part of the name or of the user name")
    limit: int = Field(default=100, ge=1, le=1000)
    after: str = Field(default="", max_length=200, description="the last user name of the page before")


class AccountChange(Asked):
    """What is given is changed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"disabled": False}]})

    admin: bool | None = None
    disabled: bool | None = Field(default=None, description="true alone leaves grants and subscriptions: see `revoke`")


class Revocation(Asked):
    """What ends the account's grants, to all apps.

    `user`, `admin`: somebody signed the account out everywhere; `password-reset`: an admin reset the password: refresh tokens
    are dead, subscriptions are gone, with `subscriptionRemoved`. `disabled`: so it is, and the account can't sign in either.
    `password-change`: refresh tokens live on, but subscriptions are gone without a word. Access tokens live until they expire,
    unless `at_once`; Graph challenges those of clients that declared `cp1`.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "password-reset"}]})

    reason: Reason
    at_once: bool = Field(default=False, description="access tokens are dead too")

    @model_validator(mode="after")
    def _a_change_of_password_ends_no_token(self) -> Self:
        if self.reason == "password-change" and self.at_once:
            raise ValueError("a change of password ends no token")
        return self


class ConsentShown(BaseModel):
    """What an account has allowed an app."""

    app: str
    name: str
    scopes: list[str]


class TenantShown(BaseModel):
    """An organization, and whether its people may consent to an app themselves."""

    id: str
    domain: str
    user_consent: UserConsent


class TenantPolicy(Asked):
    """`forbidden`: people need an admin's consent (AADSTS90094); `by-request`: they may ask for it on the way (90095)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user_consent": "forbidden"}]})

    user_consent: UserConsent = "allowed"
    domain: Domain | None = Field(default=None, description="none: as it was, or that of its first account")


class AppSecret(Asked):
    """A client secret, which is refused (AADSTS7000222) once it has expired by the sandbox's clock."""

    value: str = Field(min_length=1, max_length=1000, repr=False)
    expires_at: AwareDatetime | None = None


class AppSettings(Asked):
    """An app registration. A public client has neither secrets nor certificates."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "My app", "redirect_uris": ["http://localhost:9000/return"], "secrets": [{"value": "made-up"}]}]
        }
    )

    name: str = Field(min_length=1, max_length=200)
    redirect_uris: list[RedirectUri] = Field(default=[], max_length=256)
    secrets: list[AppSecret] = Field(default=[], max_length=20)
    certificates: list[Annotated[str, Field(max_length=20_000)]] = Field(default=[], max_length=20, description="each in PEM")
    sign_in_audience: Audience = "AzureADandPersonalMicrosoftAccount"
    tenant: Guid | None = Field(default=None, description="the home of an app of AzureADMyOrg")
    public: bool = False
    disabled: bool = False
    publisher: str = Field(default="unverified", max_length=200)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.public and (self.secrets or self.certificates):
            raise ValueError("a public client has neither secrets nor certificates")
        if (self.sign_in_audience == "AzureADMyOrg") != (self.tenant is not None):
            raise ValueError("an app of AzureADMyOrg has a tenant, and no other app has one")
        return self


class SecretShown(BaseModel):
    """A secret by its first three characters, as Microsoft shows it."""

    hint: str
    expires_at: datetime | None


class AppShown(BaseModel):
    """An app registration; `id` is its client id."""

    id: str
    name: str
    redirect_uris: list[str]
    secrets: list[SecretShown]
    certificates: list[str]
    sign_in_audience: Audience
    tenant: str | None
    public: bool
    disabled: bool
    publisher: str


class TokenWanted(Asked):
    """An access token as sign-in and consent would give it, for tests that have no browser."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"app": "my-tests", "scopes": ["Calendars.ReadWrite"]}]})

    app: Identifier = Field(description="a client id; it need not be registered")
    scopes: list[Identifier] = Field(max_length=100)
    cp1: bool = Field(default=False, description="the client handles claims challenges (CAE): it lives for a day")


class TokenGiven(BaseModel):
    """A bearer token for Graph."""

    access_token: str


class Move(Asked):
    """Either id of the event will do."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"event": "AAkALgAAAAAAHYQ…", "calendar": "AAMkADAwATM0…"}]})

    event: Identifier
    calendar: Identifier


class Moved(GraphNamed):
    """The event's ids after the move: the ordinary one is new."""

    id: str
    immutable_id: str


class Loaded(BaseModel):
    """How many events and series a file brought."""

    calendar: str
    loaded: int


class Generation(BaseModel):
    """How often the calendar's sync states were forgotten, and one."""

    generation: int


class JournalQuery(Asked):
    """Which requests; all that is given must be true of each."""

    since: int = Field(default=0, ge=0, description="the number of the last one seen")
    account: str | None = Field(default=None, max_length=200, description="an id or a user name")
    app: str | None = Field(default=None, max_length=500, description="a client id")
    method: Annotated[str, StringConstraints(max_length=20, to_upper=True)] | None = None
    contains: str | None = Field(default=None, max_length=2000, description="part of the path")
    status: int | None = Field(default=None, ge=0, le=599, description="0 for no answer")
    batch: bool | None = Field(default=None, description="only requests in a $batch, or only those by themselves")
    limit: int | None = Field(default=None, ge=1, description="the first so many; none: all")
    newest: bool = Field(default=False, description="with a limit: the last so many instead")
    wait: float = Field(default=0, ge=0, le=LONGEST_WAIT, description="seconds to wait for one if there is none yet")


class JournalShown(BaseModel):
    """Requests, oldest first. `last` is the number of the newest of all, for a later `since`."""

    last: int
    entries: list[Entry]


class SubscriptionShown(GraphNamed):
    """A subscription as Graph shows it to the app that made it, with its client state."""

    model_config = ConfigDict(extra="allow")

    id: str
    resource: str
    application_id: str
    change_type: str
    client_state: str | None
    notification_url: str
    lifecycle_notification_url: str | None
    expiration_date_time: datetime
    creator_id: str = Field(description="the account")


class LifecycleWanted(Asked):
    """Events for the subscription's lifecycle address, in one post; `subscriptionRemoved` removes it first."""

    events: list[LifecycleEvent] = Field(min_length=1, max_length=100, examples=[["missed"]])


class Now(BaseModel):
    """The sandbox's time."""

    now: datetime


class Advance(Asked):
    """All time moves forward: subscriptions end, tokens expire, what waits goes on."""

    seconds: float = Field(gt=0, le=LONGEST_ADVANCE, examples=[259200])


class FaultShown(BaseModel):
    """A fault that is on, and how often it has struck."""

    id: str
    struck: int
    fault: AnyFault


class FaultKind(BaseModel):
    """A kind of fault, and the JSON Schema of its settings."""

    kind: str = Field(examples=["graph-throttled"])
    description: str
    json_schema: dict[str, Any] = Field(alias="schema")

    model_config = ConfigDict(populate_by_name=True)


class Limits(BaseModel):
    """What is allowed here, as Microsoft allows it."""

    requests_at_once: int = Field(description="of an app for a mailbox")
    requests_per_10_minutes: int = Field(description="of an app for a mailbox")
    batch_requests: int
    subscriptions_per_mailbox: int
    subscription_minutes_shortest: int = Field(description="a shorter life is made as long")
    subscription_minutes_longest: int


class SettingsShown(BaseModel):
    """How this sandbox was started, without its secrets."""

    http_port: int
    https_port: int
    client_id: str = Field(description="of the app that is registered from the start")
    redirect_uris: list[str]
    longest_view_days: int
    settle_seconds: float
    latency_ms: int
    kafka_bootstrap_servers: str | None
    limits: Limits
