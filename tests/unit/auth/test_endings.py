"""Every way that a connect can end has its outcome, its sentence and, if it didn't succeed, a next step."""

from typing import get_args

import pytest

from auth import endings
from auth.endings import Ending, Outcome, WrongAccount, ending_of
from auth.id_token import Untrusted
from auth.profile import NoMailbox
from auth.refusals import AppMisconfigured, Declined, SignInNeeded, failure_of
from common.errors import AdminConsentNeeded, AttendaraError, NotFound, ReconnectNeeded, Refused, Throttled, Transient

EVERY = [ending for ending in vars(endings).values() if isinstance(ending, Ending)]


def test_every_outcome_is_told() -> None:
    assert {ending.outcome for ending in EVERY} == set(get_args(Outcome))


@pytest.mark.parametrize("ending", EVERY, ids=lambda ending: ending.message[:40])
def test_every_ending_has_a_sentence_of_its_own_and_a_next_step(ending: Ending) -> None:
    assert ending.message.endswith(".")
    assert [one.message for one in EVERY].count(ending.message) == 1
    assert bool(ending.next_step) == (ending.outcome != "accepted")
    assert "AADSTS" not in ending.message + ending.next_step


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Declined("no"), "declined"),
        (WrongAccount("another"), "wrong-account"),
        (failure_of({"error": "invalid_grant", "error_codes": [50020]}), "wrong-account"),
        (AdminConsentNeeded("ask"), "admin-consent-needed"),
        (failure_of({"error": "access_denied", "error_codes": [53003]}), "conditional-access"),
        (failure_of({"error": "access_denied", "error_codes": [50105]}), "conditional-access"),
        (NoMailbox("none"), "no-mailbox"),
        (SignInNeeded("used", reason="grant-refused"), "expired"),
        (NotFound("removed"), "expired"),
        (Untrusted("forged"), "mismatch"),
        (AppMisconfigured("secret"), "app-misconfigured"),
        (Transient("away"), "microsoft-away"),
        (Throttled("later", retry_after=1), "microsoft-away"),
        (Refused("odd"), "microsoft-away"),
        (ReconnectNeeded("Graph 401", reason="token-refused"), "microsoft-away"),
    ],
)
def test_each_error_has_its_outcome(error: AttendaraError, outcome: str) -> None:
    assert ending_of(error).outcome == outcome


def test_what_is_wrong_on_our_side_is_never_laid_at_the_users_door() -> None:
    ending = ending_of(failure_of({"error": "invalid_client", "error_codes": [7000222]}))
    assert "not because of you" in ending.message
    assert "again" not in ending.next_step
