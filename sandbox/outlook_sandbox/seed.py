"""What a new sandbox holds: a physiotherapy practice with a work account and a personal one, and a clinic whose people may
not consent to apps themselves; this week and the next."""

import itertools
import random
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from outlook_sandbox.accounts import PERSONAL_TENANT, Account
from outlook_sandbox.graph import ids
from outlook_sandbox.graph.fields import blank, read_event
from outlook_sandbox.graph.mailbox import Mailbox
from outlook_sandbox.graph.model import Calendar, Event, Moment, Span
from outlook_sandbox.graph.occurrences import occurrence
from outlook_sandbox.graph.render import new_uid
from outlook_sandbox.graph.writing import change_occurrence, create_event
from outlook_sandbox.identity.tenants import Tenant
from outlook_sandbox.state import Sandbox

ZONE = "W. Europe Standard Time"
PLACE = ZoneInfo("Europe/Zurich")
WORK = Account(
    "7b3c0a52-93d4-4b5e-9a1f-6d2f0c8e4a10",
    "c1f6d8e2-5a37-4b90-8e64-2f9b7d103c55",
    "anna.keller@bergpraxis.example",
    "Anna Keller",
    "work",
)
PERSONAL = Account(
    "00000000-0000-0000-4c1e-9a7d52b80f36",
    PERSONAL_TENANT,
    "bergpraxis.lehmann@outlook.example",
    "Jonas Lehmann",
    "personal",
)
CLINIC = Tenant("e58a4c07-6b1d-4f39-a2c8-71d0935be6f4", "klinik-seeblick.example", "forbidden")
CLINICIAN = Account("3f9d7b16-08c2-4a5e-b7f1-c46e2a90d853", CLINIC.id, "lukas.meier@klinik-seeblick.example", "Lukas Meier", "work")
CLINIC_ADMIN = Account(
    "a90c5e72-4d3f-41b8-9e06-58b17fd2c3ea", CLINIC.id, "regula.frey@klinik-seeblick.example", "Regula Frey", "work", admin=True
)
CUSTOMERS = (
    "Lea Brunner", "Marco Steiner", "Sofia Rossi", "Daniel Huber", "Nina Gerber", "Paul Aebi", "Elif Demir",
    "Hanna Wyss", "Luca Moretti", "Petra Zbinden", "Ole Hansen", "Mia Baumann", "Yusuf Kaya", "Vera Frei",
    "Tim Schärer", "Ines Ferreira", "Karl Ammann", "Rosa Bianchi", "Jan Nowak", "Claire Dubois",
)  # fmt: skip
TREATMENTS = (
    ("Physiotherapy", 30), ("Manual therapy", 45), ("First assessment", 60), ("Lymph drainage", 45),
    ("Sports physio", 30), ("Back school", 45),
)  # fmt: skip
BIRTHDAYS = (("Lea Brunner", 5), ("Ole Hansen", 40))
HOLIDAYS = (
    ("New Year's Day", (1, 1)), ("Labour Day", (5, 1)), ("National Day", (8, 1)), ("Christmas Day", (12, 25)),
)  # fmt: skip


@dataclass
class Diary:
    """One calendar being filled in: times are the practice's own, days count from this week's Monday."""

    mailbox: Mailbox
    calendar: Calendar
    monday: date
    now: datetime

    def add(self, day: int, at: str, minutes: int, subject: str, **more: Any) -> Event:
        start = datetime.combine(self.monday + timedelta(days=day), time.fromisoformat(at))
        sent = {"subject": subject, "start": _sent(start), "end": _sent(start + timedelta(minutes=minutes))}
        return create_event(self.mailbox, self.calendar, read_event(sent | more), self.now)

    def add_days(self, day: int, days: int, subject: str, **more: Any) -> Event:
        return self.add(day, "00:00", days * 1440, subject, isAllDay=True, **more)

    def treatments(self, day: int, times: tuple[str, ...], therapist: str) -> None:
        """A day's customers, the same ones for the same week."""
        choice = random.Random(f"{therapist} {day}")  # noqa: S311 - a choice of names, nothing secret
        for at in times:
            treatment, minutes = choice.choice(TREATMENTS)
            customer = choice.choice(CUSTOMERS)
            note = f"<html><body><p>{customer}, {treatment.lower()} with {therapist}.</p></body></html>"
            categories = ["Blue category"] if treatment == "First assessment" else []
            self.add(
                day, at, minutes, f"{treatment} – {customer}",
                body={"contentType": "html", "content": note}, categories=categories,
                location={"displayName": "Room 1" if therapist == "Anna" else "Room 2"},
            )  # fmt: skip


def practice(sandbox: Sandbox) -> None:
    """Fill an empty sandbox."""
    now = sandbox.clock.now()
    today = now.astimezone(PLACE).date()
    monday = today - timedelta(days=today.weekday())
    sandbox.tenants.put(CLINIC)
    for account in (WORK, PERSONAL, CLINICIAN, CLINIC_ADMIN):
        sandbox.accounts.add(account)
    _work(sandbox.mailboxes.of(WORK), monday, now)
    _personal(sandbox.mailboxes.of(PERSONAL), monday, now)
    _clinic(sandbox.mailboxes.of(CLINICIAN), sandbox.mailboxes.of(CLINIC_ADMIN), monday, now)


def first_events(mailbox: Mailbox) -> list[Event]:
    """The made-up half hours around its first day that an account's default calendar begins with: always the same ones, with
    the same ids and keys."""
    account, calendar = mailbox.account, mailbox.default_calendar
    if calendar is None or not account.events:
        return []
    first = datetime.combine(account.since.astimezone(PLACE).date() - timedelta(days=30), time(8))
    first -= timedelta(days=first.weekday())
    owner = blank(calendar.owner_name, calendar.owner_address)
    contents = [owner | {"subject": f"Physiotherapy – {customer}"} for customer in CUSTOMERS]
    return [
        _first_event(account, calendar.id, number, first + timedelta(days=number // 20 % 180, minutes=number % 20 * 30), fields)
        for number, fields in zip(range(account.events), itertools.cycle(contents), strict=False)
    ]


def _first_event(account: Account, calendar: str, number: int, start: datetime, fields: dict[str, Any]) -> Event:
    name = f"{account.id} {number}"
    identifier = ids.made_of(ids.IMMUTABLE, name)
    return Event(
        id=identifier,
        ordinary_id=ids.made_of(ids.ORDINARY, name),
        calendar=calendar,
        uid=new_uid(identifier),
        span=Span(Moment(start, ZONE), Moment(start + timedelta(minutes=30), ZONE)),
        fields=fields,
        created=account.since,
        modified=account.since,
        key=number + 1,
    )


def _work(mailbox: Mailbox, monday: date, now: datetime) -> None:
    anna = Diary(mailbox, _main(mailbox), monday, now)
    for day in (0, 1, 2, 3, 4, 7, 8, 9, 10, 11):
        anna.treatments(day, ("08:00", "09:15", "10:30"), "Anna")
    _team_meeting(anna)
    _meeting_with_insurer(anna)
    anna.add_days(3, 1, "Practice closed in the afternoon", showAs="free", categories=["Orange category"])
    anna.add(9, "12:15", 45, "Dentist", sensitivity="private", categories=["Purple category"])
    anna.add(4, "16:00", 60, "Accounts with the tax adviser", categories=["Yellow category"])
    second = Diary(mailbox, mailbox.add_calendar("Calendar – room 2", color="lightGreen"), monday, now)
    for day in (0, 1, 3, 7, 8, 10):
        second.treatments(day, ("13:30", "14:45"), "Jonas")
    second.add(2, "17:30", 60, "Pilates in a small group", categories=["Green category"], recurrence=_weekly(monday, 2))
    shared = mailbox.add_calendar("Holidays – Berg team", owner=("Sabine Berg", "sabine.berg@bergpraxis.example"))
    Diary(mailbox, shared, monday, now).add_days(8, 2, "Sabine away", showAs="oof")


def _personal(mailbox: Mailbox, monday: date, now: datetime) -> None:
    jonas = Diary(mailbox, _main(mailbox), monday, now)
    for day in (0, 2, 4, 8, 10):
        jonas.treatments(day, ("09:00", "10:15"), "Jonas")
    jonas.add(1, "18:30", 90, "Choir", recurrence=_weekly(monday, 1), sensitivity="personal")
    jonas.add_days(12, 1, "Grandmother's birthday", showAs="free", categories=["Red category"])
    visits = Diary(mailbox, mailbox.add_calendar("Home visits", color="lightOrange"), monday, now)
    for day in (1, 3, 9, 11):
        visits.treatments(day, ("15:00",), "Jonas")
    _given(mailbox, "Birthdays", {f"{friend}'s birthday": monday + timedelta(days=day) for friend, day in BIRTHDAYS}, monday, now)
    _given(mailbox, "Holidays in Switzerland", {name: date(monday.year, *day) for name, day in HOLIDAYS}, monday, now)


def _main(mailbox: Mailbox) -> Calendar:
    return mailbox.default_calendar or mailbox.add_calendar("Calendar", is_default=True)


def _given(mailbox: Mailbox, name: str, days: dict[str, date], monday: date, now: datetime) -> None:
    """A calendar that Outlook itself keeps beside a person's own: the days of a year, for everybody to read only."""
    diary = Diary(mailbox, mailbox.add_calendar(name, can_edit=False), monday, now)
    for subject, day in days.items():
        diary.add_days((day - monday).days, 1, subject, showAs="free", isReminderOn=False, recurrence=_yearly(day))


def _clinic(clinician: Mailbox, admin: Mailbox, monday: date, now: datetime) -> None:
    lukas = Diary(clinician, _main(clinician), monday, now)
    for day in (0, 1, 3, 7, 9):
        lukas.treatments(day, ("08:30", "13:00"), "Lukas")
    regula = Diary(admin, _main(admin), monday, now)
    regula.add(1, "09:00", 60, "Applications waiting for approval", categories=["Yellow category"])
    regula.add(3, "14:00", 90, "Data protection round", recurrence=_weekly(monday, 3))


def _team_meeting(diary: Diary) -> None:
    """A weekly series; next week it is an hour later and longer."""
    series = diary.add(
        -7, "12:00", 30, "Team meeting",
        recurrence=_weekly(diary.monday - timedelta(days=7), 0), categories=["Green category"],
        location={"displayName": "Kitchen"},
    )  # fmt: skip
    day = diary.monday + timedelta(days=7)
    item = occurrence(series, day)
    if item is not None:
        start = datetime.combine(day, time(13))
        sent = {"subject": "Team meeting with supervision", "start": _sent(start)}
        sent["end"] = _sent(start + timedelta(hours=1))
        change_occurrence(diary.mailbox, item, day, read_event(sent), diary.now)


def _meeting_with_insurer(diary: Diary) -> None:
    """A meeting that somebody else called, with attendees and a link."""
    event = diary.add(
        2, "15:00", 60, "Contract talk with Helvia insurance", isOnlineMeeting=True, categories=["Yellow category"],
        attendees=[
            {"type": "required", "emailAddress": {"name": "Anna Keller", "address": WORK.username},
             "status": {"response": "accepted"}},
            {"type": "optional", "emailAddress": {"name": "Jonas Lehmann", "address": PERSONAL.username}},
        ],
    )  # fmt: skip
    event.fields = event.fields | {
        "organizer": {"emailAddress": {"name": "Beat Locher", "address": "beat.locher@helvia.example"}},
        "isOrganizer": False,
        "responseStatus": {"response": "accepted", "time": f"{diary.now:%Y-%m-%dT%H:%M:%SZ}"},
    }
    diary.mailbox.update(event)


def _weekly(monday: date, weekday: int) -> dict[str, Any]:
    day = monday + timedelta(days=weekday)
    return {
        "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": [f"{day:%A}".lower()], "firstDayOfWeek": "monday"},
        "range": {"type": "noEnd", "startDate": day.isoformat(), "recurrenceTimeZone": ZONE},
    }


def _yearly(day: date) -> dict[str, Any]:
    return {
        "pattern": {"type": "absoluteYearly", "interval": 1, "dayOfMonth": day.day, "month": day.month},
        "range": {"type": "noEnd", "startDate": day.isoformat(), "recurrenceTimeZone": ZONE},
    }


def _sent(wall: datetime) -> dict[str, str]:
    return {"dateTime": wall.isoformat(), "timeZone": ZONE}
