"""`appointment.status-reported`: what a customer answered, as one CloudEvent in Kafka's binary mode."""

import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from outlook_sandbox.customers.appointments import Appointment, Status

TOPIC = "appointment.status-reported.v1"


@dataclass(frozen=True)
class Report:
    """One message ready to send; a new trace begins with it."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    occurred_at: str


def report(appointment: Appointment, status: Status, now: datetime) -> Report:
    occurred_at = f"{now:%Y-%m-%dT%H:%M:%S.%fZ}"
    body = {
        "organization": appointment.organization,
        "appointment": appointment.appointment,
        "event": None,
        "status": status,
        "occurred_at": occurred_at,
    }
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid4()),
        "ce_source": "/sandbox/customers",
        "ce_type": TOPIC,
        "ce_time": occurred_at,
        "content-type": "application/json",
        "traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
    }
    encoded = [(name, value.encode()) for name, value in headers.items()]
    return Report(appointment.appointment.encode(), json.dumps(body).encode(), encoded, occurred_at)
