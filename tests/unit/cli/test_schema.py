"""What other teams are told about messages is what services read and write."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from attendara_cli.schema import schema_of
from common.messages import MESSAGES, AppointmentChanged, AppointmentStatusReported, Message

EXAMPLES = re.findall(r"```json\n(.*?)```", (Path(__file__).parents[3] / "docs/messages.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.topic.name)
def test_each_topic_has_a_schema(kind: type[Message]) -> None:
    described = json.loads(schema_of(kind.topic.name))
    assert described["$defs"][kind.__name__]["properties"]


def test_an_unknown_topic_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SystemExit, match=r"no topic nothing.v1; there are .*appointment.changed.v1"):
        schema_of("nothing.v1")


def test_the_documented_reports_are_accepted_as_they_stand() -> None:
    first, second = (msgspec.json.decode(text, type=AppointmentStatusReported) for text in EXAMPLES[:2])
    assert first.appointment
    assert second.event


def test_the_documented_appointment_names_every_field_and_no_other() -> None:
    told = json.loads(EXAMPLES[2])
    assert json.loads(msgspec.json.encode(msgspec.convert(told, AppointmentChanged, strict=False))) == told
    assert list(told) == list(AppointmentChanged.__struct_fields__)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"status": "maybe"}, "Invalid enum value"),
        ({"appointment": None}, "exactly one of"),
        ({"event": {"connection": "con_1", "id": "AAk"}}, "exactly one of"),
        ({"occurred_at": "2026-11-22T10:00:00"}, "offset"),
        ({"occurred_at": "yesterday"}, "Invalid RFC3339"),
        ({"organization": 7}, "Expected `str`"),
    ],
)
def test_a_report_that_does_not_fit_is_refused_with_its_reason(broken: dict[str, object], reason: str) -> None:
    body = json.dumps(json.loads(EXAMPLES[0]) | broken)
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.json.decode(body, type=AppointmentStatusReported)


def test_a_report_may_carry_fields_that_we_do_not_know() -> None:
    body = json.dumps(json.loads(EXAMPLES[0]) | {"channel": "sms"})
    assert msgspec.json.decode(body, type=AppointmentStatusReported).status == "confirmed"
