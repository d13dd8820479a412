"""The border with Graph: each way that it fails has its error, and none comes through as it was."""

import json

import httpx2
import pytest

from common.errors import AttendaraError, Conflict, Gone, ReconnectNeeded, Refused, Throttled, Transient
from common.graph.failures import LONGEST_RETRY_AFTER, LinkExpired, failure_of, failure_on_the_way, retry_after

OUR_OWN_MISTAKES = {"InvalidURL", "CookieConflict", "StreamError"}
"""Raised for what our code does wrong, never for what the far side or the road does."""


def all_below(kind: type[Exception]) -> set[type[Exception]]:
    return {kind}.union(*(all_below(below) for below in kind.__subclasses__()))


def answered(status: int, code: str = "anyCode", headers: dict[str, str] | None = None) -> AttendaraError:
    body = json.dumps({"error": {"code": code, "message": "words"}}).encode()
    return failure_of(status, headers or {}, body)


@pytest.mark.parametrize("kind", sorted(all_below(httpx2.HTTPError), key=str))
def test_every_failure_on_the_way_may_work_later(kind: type[httpx2.HTTPError]) -> None:
    failure = failure_on_the_way(kind.__new__(kind))

    assert type(failure) is Transient
    assert kind.__name__ in str(failure)


def test_httpx2_has_no_other_exceptions_than_those_that_are_translated() -> None:
    exported = {name: value for name, value in vars(httpx2).items() if isinstance(value, type) and issubclass(value, Exception)}
    own = set().union(*({below.__name__ for below in all_below(exported[name])} for name in OUR_OWN_MISTAKES if name in exported))

    others = {name for name, value in exported.items() if not issubclass(value, (httpx2.HTTPError, Warning))}

    assert others <= own


@pytest.mark.parametrize("status", [*range(300, 309), *range(400, 452), *range(500, 512), 599])
def test_every_status_that_is_no_success_has_an_error(status: int) -> None:
    expected: type[AttendaraError] = {
        401: ReconnectNeeded,
        404: Gone,
        408: Transient,
        409: Conflict,
        410: LinkExpired,
        412: Conflict,
        423: Conflict,
        429: Throttled,
    }.get(status, Transient if status >= 500 else Refused)

    assert type(answered(status)) is expected


@pytest.mark.parametrize("status", [429, 503, 504, 509])
def test_a_wait_that_graph_asks_for_is_kept(status: int) -> None:
    failure = answered(status, headers={"retry-after": "7.5"})

    assert isinstance(failure, Throttled)
    assert failure.retry_after == 7.5


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("0", 0.1, 0.1),
        ("-3", 0.1, 0.1),
        ("120", 120, 120),
        ("86400", LONGEST_RETRY_AFTER, LONGEST_RETRY_AFTER),
        ("inf", LONGEST_RETRY_AFTER, LONGEST_RETRY_AFTER),
        ("nan", 1, 5),
        ("Sun, 22 Nov 2026 10:00:00 GMT", 1, 5),
        ("", 1, 5),
    ],
)
def test_whatever_the_wait_says_it_is_a_sensible_number(header: str, least: float, most: float) -> None:
    assert least <= retry_after({"retry-after": header}) <= most


def test_without_a_header_the_wait_is_a_few_seconds() -> None:
    assert 1 <= retry_after({}) <= 5


def test_a_refusal_keeps_code_and_status_of_graph() -> None:
    failure = answered(403, "ErrorAccessDenied")

    assert isinstance(failure, Refused)
    assert (failure.code, failure.status) == ("ErrorAccessDenied", 403)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":null}', b'{"error":"x"}', b"\xff", b'{"error":{"code":null}}'])
def test_a_body_without_the_envelope_is_an_error_all_the_same(body: bytes) -> None:
    assert type(failure_of(503, {}, body)) is Transient
    assert type(failure_of(400, {}, body)) is Refused


def test_a_long_message_is_cut_short() -> None:
    body = json.dumps({"error": {"code": "x", "message": "y" * 10_000}}).encode()

    assert len(str(failure_of(400, {}, body))) < 300
