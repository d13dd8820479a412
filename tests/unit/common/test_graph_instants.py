"""Graph's instants, in all the forms that it sends."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as some

from common.graph.shapes import DateTimeZone, instant

TEN = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T10:00:00", TEN),
        ("2026-11-22T10:00:00Z", TEN),
        ("2026-11-22T10:00:00.0000000", TEN),
        ("2026-11-22T10:00:00.0000000Z", TEN),
        ("2026-11-22T10:00:00.1234567Z", TEN.replace(microsecond=123456)),
        ("2026-11-22T10:00:00.1Z", TEN.replace(microsecond=100000)),
        ("2026-11-22T15:30:00.1234567+05:30", TEN.replace(microsecond=123456)),
        ("2026-11-22T02:00:00.5-08:00", TEN.replace(microsecond=500000)),
        ("2026-11-22T02:00:00-08:00", TEN),
        ("2026-11-22T10:00:00+00:00", TEN),
    ],
)
def test_each_form_is_read_as_the_instant_that_it_means(text: str, expected: datetime) -> None:
    assert instant(text) == expected
    assert instant(text).tzinfo is UTC


@given(
    moment=some.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - the offset is put on below
    minutes=some.integers(-14 * 60, 14 * 60),
    digits=some.integers(0, 7),
)
def test_any_offset_and_any_number_of_digits_is_read(moment: datetime, minutes: int, digits: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    aware = moment.replace(tzinfo=zone)
    fraction = f".{aware.microsecond:06}0"[: digits + 1] if digits else ""

    read = instant(f"{aware:%Y-%m-%dT%H:%M:%S}{fraction}{aware:%z}"[:-2] + f":{f'{aware:%z}'[-2:]}")

    kept = int(f"{aware.microsecond:06}"[: min(digits, 6)].ljust(6, "0"))
    assert read == aware.replace(microsecond=kept)


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01T00:00:00Z", "2026-11-22T10:00:00.Q"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        instant(text)


def test_an_all_day_event_has_its_date_whatever_the_zone() -> None:
    assert str(DateTimeZone(date_time="2026-11-22T00:00:00.0000000", time_zone="W. Europe Standard Time").date) == "2026-11-22"
