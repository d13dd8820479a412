"""The Customers page's doors: the coming appointments, and what a customer answers."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict

from outlook_sandbox.customers.appointments import Appointment, Status
from outlook_sandbox.customers.feed import BrokerAway, Feed
from outlook_sandbox.html import page
from outlook_sandbox.state import sandbox_of

MOST_LISTED = 300

router = APIRouter(prefix="/customers", include_in_schema=False)


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    status: Status


@router.get("")
async def customers() -> Response:
    return page("customers/customers.html")


@router.get("/appointments")
async def appointments(request: Request, seen: int = -1) -> dict[str, Any]:
    """What is coming; without the list if the page has seen this version already."""
    feed, now = _feed(request), sandbox_of(request).clock.now()
    told: dict[str, Any] = {"version": feed.appointments.version, "problem": feed.problem, "now": now.isoformat()}
    if seen == feed.appointments.version:
        return told
    coming = feed.appointments.coming(now)
    return told | {"count": len(coming), "appointments": [_shown(item) for item in coming[:MOST_LISTED]]}


@router.post("/appointments/{appointment}/status", status_code=202)
async def answer(request: Request, appointment: str, given: Answer) -> dict[str, str]:
    """Publish the customer's answer; 503 while there is no broker to take it."""
    known = _feed(request).appointments.get(appointment)
    if known is None:
        raise HTTPException(404, "There is no such appointment.")
    try:
        return {"occurred_at": await _feed(request).publish(known, given.status)}
    except BrokerAway as reason:
        raise HTTPException(503, str(reason)) from reason


def _shown(item: Appointment) -> dict[str, Any]:
    return {
        "id": item.appointment,
        "organization": item.organization,
        "subject": item.subject,
        "private": item.private,
        "start": item.start.isoformat(),
        "end": item.end.isoformat(),
        "all_day": item.all_day,
        "start_date": item.start_date,
        "called_off": item.called_off,
        "status": item.status.value,
        "answered_at": _iso(item.status.occurred_at),
        "label": item.label.value,
        "label_failed": item.label.failed,
        "written_at": _iso(item.label.written_at),
        "changed_at": _iso(item.changed_at),
        "sequence": item.sequence,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _feed(request: Request) -> Feed:
    return sandbox_of(request).feed
