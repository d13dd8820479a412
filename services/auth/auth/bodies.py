"""What auth's door takes and gives: the shapes of its API, each with its bounds and an example."""

import json
from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from auth.connect import Asker
from auth.endings import Outcome
from auth.keys import MOST_AT_ONCE
from auth.tokens import LONGEST_LIFE, Wish
from common.store import Connection, ConnectionState

Word = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Fingerprint = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
Parameter = Annotated[str, StringConstraints(max_length=8_000)]


def _own_page(path: str) -> str:
    if not path.startswith("/") or path.startswith("//") or "\\" in path or not path.isprintable():
        raise ValueError("must be a path on our own site")
    return path


def _claims(text: str) -> str:
    try:
        challenge = json.loads(text)
    except RecursionError:
        challenge = None
    if not isinstance(challenge, dict):
        raise ValueError("must be a JSON object")
    return text


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True)


class AskerBody(_Body):
    """Whose sign-in it is. `binding`: SHA-256, in hex, of a cookie that only this browser has."""

    organization: Word = Field(examples=["org_bergpraxis"])
    user: Word = Field(examples=["usr_7"])
    session: Word = Field(examples=["ses_1f0c"])
    binding: Fingerprint = Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])

    @property
    def asker(self) -> Asker:
        return Asker(organization=self.organization, user=self.user, session=self.session, binding=self.binding)


class BeginBody(AskerBody):
    """`connection`: the one to reconnect; none for a new one."""

    return_to: Annotated[str, StringConstraints(max_length=500), AfterValidator(_own_page)] | None = None
    connection: Word | None = None


class BegunView(_Body):
    """Where to send the browser. `flow` is the OAuth state."""

    flow: str = Field(examples=["bWRtY2x0d2Jo"])
    authorize_url: str = Field(examples=["https://login.microsoftonline.com/common/oauth2/v2.0/authorize?client_id=…"])


class FinishBody(AskerBody):
    """`query`: what Microsoft's redirect came back with, as it is."""

    query: dict[Word, Parameter] = Field(max_length=30, examples=[{"code": "1.AXkA…", "state": "bWRtY2x0d2Jo"}])


class OutcomeView(_Body):
    """How a connect ended: an error of Microsoft's is an outcome too. `message` and `next_step` are sentences for the page.

    `admin_consent_url`: the link to hand to the administrator who must approve first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Outcome = Field(examples=["accepted"])
    connection: str | None = Field(examples=["con_01kb3v5r2m8q4x7n9t6w0y1z2a"])
    existing: bool = Field(description="The account was connected already, and its connection has been refreshed.")
    message: str = Field(examples=["Your Microsoft account is connected."])
    next_step: str = Field(examples=["Begin again, and pick the account that is to be reconnected."])
    admin_consent_url: str | None = Field(examples=["https://login.microsoftonline.com/organizations/v2.0/adminconsent?…"])
    return_to: str | None = Field(examples=["/settings/calendars/add"])


class AdminConsentView(_Body):
    """The link to hand to the administrator of the account's tenant."""

    url: str = Field(examples=["https://login.microsoftonline.com/2f6c6f32-…/v2.0/adminconsent?client_id=…"])


class TokenBody(_Body):
    """`refused`: SHA-256, in hex, of a token that Graph answered 401. `claims`: the challenge that came with it.

    `min_life`: for how many seconds the token must live at least.
    """

    refused: Fingerprint | None = Field(None, examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    claims: Annotated[str, StringConstraints(max_length=4_000), AfterValidator(_claims)] | None = Field(
        None, examples=['{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}']
    )
    min_life: int = Field(300, ge=0, le=LONGEST_LIFE.seconds, examples=[2700])

    @property
    def wish(self) -> Wish:
        return Wish(self.refused, self.claims, timedelta(seconds=self.min_life))


class TokenView(_Body):
    """A token that lives for five minutes at least. Keep it in memory, for no longer than that."""

    access_token: str = Field(examples=["eyJ0eXAiOiJKV1QiLCJub25jZSI6…"])
    expires_at: datetime


class NameBody(_Body):
    """A connection's new label."""

    organization: Word = Field(examples=["org_bergpraxis"])
    name: Name = Field(examples=["Front desk"])
    user: Word | None = Field(default=None, description="Who wishes it, for the history.", examples=["usr_7"])


class ConnectionView(_Body):
    """A connection as callers see it. `reason`: why its people are needed; `since`: when it came into its state.

    `scopes`: what Microsoft lets us do, which may be less than we asked for.
    """

    id: str = Field(examples=["con_01kb3v5r2m8q4x7n9t6w0y1z2a"])
    name: str = Field(examples=["Front desk"])
    username: str = Field(examples=["anna.keller@bergpraxis.example"])
    state: ConnectionState
    reason: str | None = Field(examples=["grant-revoked"])
    since: datetime
    created_at: datetime
    scopes: list[str] = Field(examples=[["Calendars.ReadWrite", "MailboxSettings.ReadWrite", "User.Read"]])

    @classmethod
    def of(cls, connection: Connection) -> Self:
        return cls(
            id=connection.id,
            name=connection.name,
            username=connection.username,
            state=connection.state,
            reason=connection.reason,
            since=connection.since,
            created_at=connection.created_at,
            scopes=list(connection.scopes or ()),
        )


class RemovingView(_Body):
    """It is being removed; the rest follows by itself."""

    state: ConnectionState = Field("removing", examples=["removing"])


class RotateBody(_Body):
    """`to`: the key that must be active here. `after`: where the call before ended."""

    to: Word = Field(examples=["k2026"])
    after: Annotated[str, StringConstraints(max_length=100)] = ""
    limit: int = Field(MOST_AT_ONCE, ge=1, le=MOST_AT_ONCE)
