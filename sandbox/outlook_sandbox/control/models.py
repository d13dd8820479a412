"""What the control API takes and gives, for its routes and for the client: this file needs no server."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
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
Identifier = Annotated[str, Field(min_length=1, max_length=500)]


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


class AccountOpened(AccountShown):
    """An account with what its mailbox holds."""

    calendars: list[CalendarShown]


class NewAccount(Asked):
    """A person of this Microsoft. `events` made-up events over the weeks around today go into the account's own calendar."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"username": "tess@ting.example", "name": "Tess Ting"}]})

    username: str = Field(min_length=3, max_length=200)
    name: str = Field(min_length=1, max_length=200)
    kind: Kind = "work"
    tid: str | None = Field(default=None, max_length=100, description="none: a new tenant; personal accounts share one")
    events: int = Field(default=0, ge=0, le=200_000)


class AccountsPage(Asked):
    """Accounts are listed by user name; a page that is full may have a next one, after its last user name."""

    limit: int = Field(default=100, ge=1, le=1000)
    after: str = Field(default="", max_length=200, description="the last user name of the page before")


class TokenWanted(Asked):
    """An access token as sign-in and consent would give it, for tests that have no browser."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"app": "my-tests", "scopes": ["Calendars.ReadWrite"]}]})

    app: Identifier = Field(description="a client id; it need not be registered")
    scopes: list[Identifier] = Field(max_length=100)


class TokenGiven(BaseModel):
    """A bearer token for Graph, which lives as long as any other."""

    access_token: str


class Move(Asked):
    """Either id of the event will do."""

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
    method: str | None = Field(default=None, max_length=20)
    contains: str | None = Field(default=None, max_length=2000, description="part of the path")
    status: int | None = Field(default=None, ge=100, le=599)
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
