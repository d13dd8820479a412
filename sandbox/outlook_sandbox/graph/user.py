"""`/me` itself: who it is, the mailbox's settings, and the two kinds of ids of its events."""

from typing import Any, Literal, TypeVar

import msgspec

from outlook_sandbox.graph import ids
from outlook_sandbox.graph.errors import GraphError, bad_request, body_refused
from outlook_sandbox.graph.mailbox import Mailbox
from outlook_sandbox.graph.operations import METADATA, READ_SETTINGS, READ_USER, WRITE_SETTINGS, Answer, Call, operations
from outlook_sandbox.graph.paging import SELECT, select
from outlook_sandbox.graph.prefer import check_zone
from outlook_sandbox.recurrence import Day

MOST_IDS = 1000
Wanted = TypeVar("Wanted")
IdFormat = Literal["entryId", "ewsId", "immutableEntryId", "restId", "restImmutableEntryId"]


class _Part(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    pass


class DateTimeTimeZone(_Part, frozen=True):
    date_time: str = "2026-01-01T00:00:00.0000000"
    time_zone: str = "UTC"


class AutomaticReplies(_Part, frozen=True):
    status: Literal["disabled", "alwaysEnabled", "scheduled"] = "disabled"
    external_audience: Literal["none", "contactsOnly", "all"] = "all"
    scheduled_start_date_time: DateTimeTimeZone = DateTimeTimeZone()
    scheduled_end_date_time: DateTimeTimeZone = DateTimeTimeZone(date_time="2026-01-02T00:00:00.0000000")
    internal_reply_message: str = ""
    external_reply_message: str = ""


class Language(_Part, frozen=True):
    locale: str = "en-US"
    display_name: str = "English (United States)"


class TimeZone(_Part, frozen=True):
    name: str = "UTC"


class WorkingHours(_Part, frozen=True):
    days_of_week: tuple[Day, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday")
    start_time: str = "08:00:00.0000000"
    end_time: str = "17:00:00.0000000"
    time_zone: TimeZone = TimeZone()


class MailboxSettings(_Part, frozen=True):
    """As a new mailbox has them; a mailbox keeps what its owner changed."""

    automatic_replies_setting: AutomaticReplies = AutomaticReplies()
    time_zone: str = "UTC"
    language: Language = Language()
    working_hours: WorkingHours = WorkingHours()
    date_format: str = "MM/dd/yyyy"
    time_format: str = "hh:mm tt"
    delegate_meeting_message_delivery_options: Literal[
        "sendToDelegateAndInformationToPrincipal", "sendToDelegateAndPrincipal", "sendToDelegateOnly"
    ] = "sendToDelegateOnly"


class Translation(_Part, frozen=True):
    input_ids: list[str]
    source_id_type: IdFormat
    target_id_type: IdFormat


@operations.on("GET", "/me", scopes=READ_USER, query=SELECT)
def me(call: Call) -> Answer:
    account = call.mailbox.account
    given, _, family = account.name.rpartition(" ")
    shown: dict[str, Any] = {
        "@odata.context": f"{METADATA}users/$entity",
        "id": account.id,
        "displayName": account.name,
        "givenName": given or account.name,
        "surname": family,
        "mail": account.username,
        "userPrincipalName": account.username,
        "businessPhones": [],
        "jobTitle": None,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": "en-US",
    }
    return Answer(200, select(call, shown))


@operations.on("GET", "/me/mailboxSettings", scopes=READ_SETTINGS, query=SELECT)
def get_settings(call: Call) -> Answer:
    return Answer(200, select(call, _settings_json(_read(MailboxSettings, call.mailbox.settings))))


@operations.on("PATCH", "/me/mailboxSettings", scopes=WRITE_SETTINGS)
def update_settings(call: Call) -> Answer:
    """The answer has what was changed."""
    sent = call.json()
    sent.pop("@odata.context", None)
    changed = call.mailbox.settings | {name: _changed(call.mailbox.settings.get(name), value) for name, value in sent.items()}
    settings = _read(MailboxSettings, changed)
    for name in (settings.time_zone, settings.working_hours.time_zone.name):
        check_zone(name)
    call.mailbox.put_settings(changed)
    return Answer(200, {name: value for name, value in _settings_json(settings).items() if name in sent or "@" in name})


@operations.on("POST", "/me/translateExchangeIds", scopes=READ_USER)
def translate_ids(call: Call) -> Answer:
    """Between the ordinary and the immutable ids of events; the formats of other programs than Graph are refused."""
    wish = _read(Translation, call.json())
    formats = {"restId": False, "restImmutableEntryId": True}
    if len(wish.input_ids) > MOST_IDS:
        raise bad_request(f"The collection 'inputIds' may have {MOST_IDS} ids at most.")
    if not {wish.source_id_type, wish.target_id_type} <= formats.keys():
        raise bad_request(f"Only these id formats can be translated here: {', '.join(formats)}.")
    source, target = formats[wish.source_id_type], formats[wish.target_id_type]
    value = [{"targetId": _translated(call.mailbox, each, source, target), "sourceId": each} for each in wish.input_ids]
    return Answer(200, {"@odata.context": f"{METADATA}Collection(microsoft.graph.convertIdResult)", "value": value})


def _translated(mailbox: Mailbox, identifier: str, immutable: bool, wanted_immutable: bool) -> str:
    master, day = ids.split_id(identifier)
    event = mailbox.find(master)
    if event is None or event.identity(immutable) != master:
        raise GraphError(400, "ErrorInvalidIdMalformed", "Id is malformed.")
    translated = event.identity(wanted_immutable)
    return translated if day is None else ids.occurrence_id(translated, day)


def _changed(before: object, sent: object) -> object:
    """Of a setting with parts, those that were not sent stay."""
    return before | sent if isinstance(before, dict) and isinstance(sent, dict) else sent


def _settings_json(settings: MailboxSettings) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(settings)
    return {"@odata.context": f"{METADATA}Me/mailboxSettings"} | shown


def _read(wanted: type[Wanted], sent: object) -> Wanted:
    try:
        return msgspec.convert(sent, wanted)
    except msgspec.ValidationError as reason:
        raise body_refused(f"Cannot read the request body: {reason}") from reason
