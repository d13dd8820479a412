"""What Graph's refusals mean, by the texts that were observed."""

import json

import pytest

from common.errors import AttendaraError, Conflict
from common.graph.failures import failure_of
from renewer.refusals import duplicate_of, is_too_long, means_no_push

CAP = "Subscription expiration can only be 10070 minutes in the future."


def refusal(status: int, code: str, message: str) -> AttendaraError:
    return failure_of(status, {}, json.dumps({"error": {"code": code, "message": message}}).encode())


def exchange(status: int, inner: str, reason: str) -> AttendaraError:
    return refusal(status, "ExtensionError", f"Operation: Create; Exception: [Status Code: {inner}; Reason: {reason}]")


@pytest.mark.parametrize(
    "error",
    [
        exchange(404, "NotFound", "REST API is not yet supported for this mailbox."),
        exchange(400, "NotFound", "REST API is not yet supported for this mailbox."),
        exchange(403, "Forbidden", "Forbidden"),
        refusal(403, "Forbidden", "The limit of 1000 subscriptions for this mailbox has been reached."),
        refusal(404, "ResourceNotFound", "The object was not found."),
    ],
    ids=str,
)
def test_a_mailbox_that_can_have_no_push_is_told_from_the_answer(error: AttendaraError) -> None:
    assert means_no_push(error)


@pytest.mark.parametrize(
    "error",
    [
        exchange(400, "ServiceUnavailable", "Target resource is currently on backend 'Unknown'"),
        exchange(400, "Unauthorized", "Unauthorized"),
        exchange(503, "ServiceUnavailable", "ServiceUnavailable"),
        refusal(
            400,
            "ValidationError",
            "Subscription validation request failed. Notification endpoint must respond with 200 OK to validation request.",
        ),
        refusal(401, "InvalidAuthenticationToken", "Lifetime validation failed."),
        refusal(429, "TooManyRequests", "slowly"),
        refusal(409, "ObjectIdentifierInUse", "Subscription Id x already exists for the requested combination"),
    ],
    ids=str,
)
def test_what_may_work_later_is_not_taken_for_it(error: AttendaraError) -> None:
    assert not means_no_push(error)


@pytest.mark.parametrize("error", [refusal(400, "ExtensionError", CAP), exchange(400, "BadRequest", CAP)], ids=str)
def test_a_life_that_is_too_long_is_told_from_the_answer(error: AttendaraError) -> None:
    assert is_too_long(error)


@pytest.mark.parametrize("error", [exchange(403, "Forbidden", "Forbidden"), refusal(400, "InvalidRequest", "no")], ids=str)
def test_no_other_refusal_is_taken_for_a_life_too_long(error: AttendaraError) -> None:
    assert not is_too_long(error)


def test_the_subscription_that_is_in_the_way_is_read_from_the_answer() -> None:
    text = "Subscription Id 7f105c7d-2dc5-4530-97cd-4e7ae6534c07 already exists for the requested combination"
    error = refusal(409, "ObjectIdentifierInUse", text)

    assert isinstance(error, Conflict)
    assert duplicate_of(error) == "7f105c7d-2dc5-4530-97cd-4e7ae6534c07"
    assert duplicate_of(Conflict("anything else")) is None
