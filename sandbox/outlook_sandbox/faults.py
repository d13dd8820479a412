"""What can go wrong here on purpose: each kind of fault with its settings, and the list of those that are on.

A fault strikes where its account, app and path match, with its probability, at most `times` times. Chance is seeded: the
same requests in the same order meet the same faults.
"""

import random
import uuid
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from outlook_sandbox.database import Database
from outlook_sandbox.identity.aadsts import MEANINGS

KIND = "fault"
HEADER_TEXT = r"^[ -~]*$"


class Fault(BaseModel):
    """What all kinds share. `account` is an id or a user name; none means every account."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    account: str | None = None
    probability: float = Field(default=1, gt=0, le=1)
    seed: int = 0
    times: int | None = Field(default=None, ge=1, description="how often it strikes at most")


class GraphFault(Fault):
    """A fault of requests to Graph. `path` is a pattern with `*`, such as `/me/calendars/*/calendarView/delta`; a user's
    path counts as `/me`."""

    app: str | None = None
    method: Annotated[str, AfterValidator(str.upper)] | None = None
    path: str | None = Field(default=None, pattern=r"^[/*]")


class ErrorAnswer(GraphFault):
    """Any refusal, in Graph's envelope; without a path it strikes a `$batch` itself too."""

    kind: Literal["graph-error"] = "graph-error"
    status: int = Field(default=503, ge=400, le=599)
    code: str = "serviceNotAvailable"
    message: str = "The service is not available."
    retry_after: str | None = Field(default=None, pattern=HEADER_TEXT)


class Throttled(GraphFault):
    """`ApplicationThrottled`; `retry_after` goes out as it stands (seconds, whole or decimal), none leaves the header out.
    Of a `$batch` it strikes the requests inside."""

    kind: Literal["graph-throttled"] = "graph-throttled"
    status: Literal[429, 503] = 429
    retry_after: str | None = Field(default="1", pattern=HEADER_TEXT)


class Conflict(GraphFault):
    """The 412 that comes without any If-Match, also for a GET. Of a `$batch` it strikes the requests inside."""

    kind: Literal["graph-conflict"] = "graph-conflict"


class Slow(GraphFault):
    """The answer takes longer; its place among the four at once stays taken."""

    kind: Literal["graph-slow"] = "graph-slow"
    seconds: float = Field(gt=0, le=600, description="by the sandbox's clock")


class Cut(GraphFault):
    """The connection ends without an answer: before the request was worked on, or after."""

    kind: Literal["graph-cut"] = "graph-cut"
    after: bool = Field(default=False, description="the request was carried out, only its answer is lost")


class Garbage(GraphFault):
    """An answer that is not Graph's: a proxy's page in HTML, or JSON that ends in the middle. The request was carried out."""

    kind: Literal["graph-garbage"] = "graph-garbage"
    status: int = Field(default=200, ge=200, le=599)
    shape: Literal["html", "cut-json"] = "html"


class BatchUnpaced(Fault):
    """A `$batch` runs all its requests at once, so that those beyond four are throttled: seen live, against the documentation."""

    kind: Literal["batch-unpaced"] = "batch-unpaced"


class DeltaGone(Fault):
    """410 on a delta link, on a next link in the middle of a traversal, or on both. `code` as Outlook or as Graph says it."""

    kind: Literal["delta-gone"] = "delta-gone"
    link: Literal["deltaLink", "nextLink", "any"] = "any"
    code: Literal["SyncStateNotFound", "resyncRequired"] = "SyncStateNotFound"


class DeltaEmptyPages(Fault):
    """Pages without items, each with a next link, before the page that was asked for."""

    kind: Literal["delta-empty-pages"] = "delta-empty-pages"
    pages: int = Field(default=1, ge=1, le=100)


class DeltaReplay(Fault):
    """Items that were told before come again as they are now, on later pages of a round and in later rounds: those that
    changed last."""

    kind: Literal["delta-replay"] = "delta-replay"
    items: int = Field(default=5, ge=1, le=1000)


class DeltaStrangeTombstones(Fault):
    """Tombstones for ids that nobody ever saw, on each last page."""

    kind: Literal["delta-strange-tombstones"] = "delta-strange-tombstones"
    items: int = Field(default=2, ge=1, le=1000)


class DeletedAnswers(Fault):
    """A deleted event still answers by its immutable id, from Deleted Items."""

    kind: Literal["deleted-answers"] = "deleted-answers"


class CategoryAnswersOld(Fault):
    """A category's PATCH changes it, but the answer still shows it as it was, as personal accounts' may."""

    kind: Literal["category-answers-old"] = "category-answers-old"


class SubscriptionRefused(Fault):
    """Creating a subscription ends, after the handshake, in an ExtensionError with this inner status of Exchange."""

    kind: Literal["subscription-refused"] = "subscription-refused"
    inner: Literal["NotFound", "Forbidden", "ServiceUnavailable", "Unauthorized"] = "ServiceUnavailable"
    status: int | None = Field(default=None, ge=400, le=599, description="of the answer itself; none: as was observed")


class SubscriptionsUnlisted(Fault):
    """The list of subscriptions leaves out those that this strikes, one by one; each by itself is there."""

    kind: Literal["subscriptions-unlisted"] = "subscriptions-unlisted"


class DeliveryDuplicates(Fault):
    """Notifications come more than once, in posts of their own."""

    kind: Literal["delivery-duplicates"] = "delivery-duplicates"
    copies: int = Field(default=1, ge=1, le=100)


class DeliveryDisorder(Fault):
    """Each notification waits by itself for up to so many seconds, so that later ones overtake it."""

    kind: Literal["delivery-disorder"] = "delivery-disorder"
    seconds: float = Field(default=2, gt=0, le=3600)


class DeliverySilence(Fault):
    """Notifications are lost: nothing comes, not even later."""

    kind: Literal["delivery-silence"] = "delivery-silence"


class DeliveryHold(Fault):
    """Notifications of a subscription whose attached token is too old wait until it is renewed by PATCH or reauthorize,
    four hours at most."""

    kind: Literal["delivery-hold"] = "delivery-hold"


class LifecycleSilence(Fault):
    """No lifecycle notification is ever sent."""

    kind: Literal["lifecycle-silence"] = "lifecycle-silence"


def _known_number(number: int) -> int:
    if number not in MEANINGS:
        raise ValueError(f"AADSTS{number} is not known here; known are {', '.join(map(str, sorted(MEANINGS)))}")
    return number


Aadsts = Annotated[int, AfterValidator(_known_number), Field(description="one of those that the page /error lists")]


class TokenError(Fault):
    """The token endpoint refuses with this AADSTS number, as Microsoft does. `grant` narrows it to one grant type."""

    kind: Literal["token-error"] = "token-error"
    aadsts: Aadsts
    grant: Literal["authorization_code", "refresh_token"] | None = None


class TokenTrouble(Fault):
    """The token endpoint is slow, answers 5xx (`temporarily_unavailable`, or a page in HTML), or cuts the connection."""

    kind: Literal["token-trouble"] = "token-trouble"
    shape: Literal["slow", "unavailable", "html", "cut"] = "unavailable"
    status: int = Field(default=503, ge=500, le=599)
    seconds: float = Field(default=5, gt=0, le=600, description="for slow, by the sandbox's clock")


class AuthorizeError(Fault):
    """Signing in ends with this AADSTS number once the account is picked: the app is told by redirect, or the person reads it
    on Microsoft's page and the app hears nothing. `shown` chooses; without it, it is as Microsoft does for this number."""

    kind: Literal["authorize-error"] = "authorize-error"
    aadsts: Aadsts
    shown: Literal["redirect", "page"] | None = None


AnyFault = Annotated[
    ErrorAnswer | Throttled | Conflict | Slow | Cut | Garbage | BatchUnpaced
    | DeltaGone | DeltaEmptyPages | DeltaReplay | DeltaStrangeTombstones | DeletedAnswers
    | CategoryAnswersOld
    | SubscriptionRefused | SubscriptionsUnlisted
    | DeliveryDuplicates | DeliveryDisorder | DeliverySilence | DeliveryHold | LifecycleSilence
    | TokenError | TokenTrouble | AuthorizeError,
    Field(discriminator="kind"),
]  # fmt: skip
Chosen = TypeVar("Chosen", bound=Fault)
_ADAPTER: TypeAdapter[AnyFault] = TypeAdapter(AnyFault)


class Armed:
    """A fault that is on, with its own chance and count."""

    def __init__(self, identifier: str, fault: AnyFault, struck: int = 0) -> None:
        self.id = identifier
        self.fault = fault
        self.struck = struck
        # A choice that only has to be repeatable, nothing secret.
        self.random = random.Random(fault.seed)  # noqa: S311

    @property
    def spent(self) -> bool:
        return self.fault.times is not None and self.struck >= self.fault.times

    def meets(self, account: str | None, app: str | None, method: str | None, path: str | None) -> bool:
        fault = self.fault
        if self.spent or fault.account not in (None, account):
            return False
        if isinstance(fault, GraphFault):
            if fault.app not in (None, app) or fault.method not in (None, method):
                return False
            if fault.path is not None and not fnmatchcase(path or "", fault.path):
                return False
        return fault.probability == 1 or self.random.random() < fault.probability

    def document(self) -> dict[str, Any]:
        return self.fault.model_dump(mode="json") | {"id": self.id, "struck": self.struck}


class Faults:
    """The faults that are on, in the order in which they were switched on; kept over restarts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._armed: dict[str, Armed] = {}
        for identifier, document in database.load(KIND).items():
            settings = {name: value for name, value in document.items() if name not in ("id", "struck")}
            self._armed[identifier] = Armed(identifier, _ADAPTER.validate_python(settings), document["struck"])

    def __bool__(self) -> bool:
        return bool(self._armed)

    def all(self) -> list[Armed]:
        return list(self._armed.values())

    def add(self, fault: AnyFault) -> Armed:
        armed = Armed(str(uuid.uuid4()), fault)
        self._armed[armed.id] = armed
        self._database.put(KIND, armed.id, armed.document())
        return armed

    def chance(self, struck: Fault) -> random.Random:
        """That of a fault which has just struck, for what more it has to choose."""
        return next(armed.random for armed in self._armed.values() if armed.fault is struck)

    def remove(self, identifier: str) -> bool:
        self._database.delete(KIND, identifier)
        return self._armed.pop(identifier, None) is not None

    def clear(self) -> None:
        self._armed.clear()
        self._database.clear(KIND)

    def strike(
        self,
        kind: type[Chosen],
        account: str | None = None,
        app: str | None = None,
        method: str | None = None,
        path: str | None = None,
        fits: Callable[[Chosen], bool] = lambda _: True,
    ) -> Chosen | None:
        """The first fault of this kind that strikes here, which is then counted; `account` is the account's id, `fits` says
        whether a fault's own settings mean this."""
        for armed in self._armed.values():
            fault = armed.fault
            if isinstance(fault, kind) and fits(fault) and armed.meets(account, app, method, path):
                armed.struck += 1
                self._database.put(KIND, armed.id, armed.document())
                return fault
        return None
