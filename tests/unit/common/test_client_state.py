"""What Graph repeats to us is believed only if we signed it."""

import base64

import pytest
from pydantic import SecretStr, ValidationError

from common.client_state import ClientStates, ClientStateSettings, Forged
from common.ids import new_id

OLD = f"old:{base64.b64encode(b'o' * 32).decode()}"
NEW = f"new:{base64.b64encode(b'n' * 32).decode()}"


def read() -> ClientStateSettings:
    return ClientStateSettings()


def keys(*entries: str) -> ClientStates:
    return ClientStates([SecretStr(entry) for entry in entries])


def test_what_was_signed_names_its_calendar() -> None:
    calendar = new_id("cal")

    assert keys(NEW).verify(keys(NEW).sign(calendar)) == calendar


def test_it_has_the_agreed_form_and_fits_into_128_characters() -> None:
    calendar = new_id("cal")
    longest = f"{'k' * 32}:{base64.b64encode(b'k' * 32).decode()}"

    signed = keys(longest).sign(calendar)

    assert signed.startswith(f"v1.{'k' * 32}.{calendar}.")
    assert len(signed) <= 128


def test_the_first_key_signs_and_the_others_are_still_believed() -> None:
    calendar = new_id("cal")

    assert keys(NEW, OLD).active == "new"
    assert keys(NEW, OLD).verify(keys(OLD).sign(calendar)) == calendar


def test_a_key_that_was_taken_away_is_no_longer_believed() -> None:
    with pytest.raises(Forged) as refused:
        keys(NEW).verify(keys(OLD).sign(new_id("cal")))

    assert refused.value.reason == "unknown-key"


def test_a_signature_is_good_for_its_own_calendar_only() -> None:
    version, key_id, _, signature = keys(NEW).sign(new_id("cal")).split(".")

    with pytest.raises(Forged) as refused:
        keys(NEW).verify(f"{version}.{key_id}.{new_id('cal')}.{signature}")

    assert refused.value.reason == "forged"


def test_a_signature_is_good_for_its_own_key_id_only() -> None:
    other = NEW.replace("new", "other")
    signed = keys(NEW).sign(new_id("cal"))

    with pytest.raises(Forged):
        keys(NEW, other).verify(signed.replace("v1.new.", "v1.other."))


@pytest.mark.parametrize(
    "text", ["", "secret", "v1.new.cal", "v2.new.cal_x.y", "v1.new.cal_x.y.z", "v1.new.cal_x.ÿ", "v1.new.cal_x." + "A" * 128]
)
def test_what_does_not_look_like_ours_is_refused(text: str) -> None:
    with pytest.raises(Forged) as refused:
        keys(NEW).verify(text)

    assert refused.value.reason == "malformed-client-state"


def test_settings_read_the_keys_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIENT_STATE_KEYS", f"{NEW}, {OLD}")

    assert ClientStates(read().client_state_keys).active == "new"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (",", "at least 1 item"),
        (f":{NEW}", "<key id>:<base64>"),
        ("bad id:AAAA", "<key id>:<base64>"),
        ("hush-hush", "a key is `<key id>:<base64>`"),
        ("one:not base64!", "key one is not base64"),
        ("one:AAAA", "key one has 3 bytes"),
        (f"{NEW},{NEW}", "an id of its own"),
    ],
)
def test_keys_that_can_not_be_used_are_named_at_the_start(monkeypatch: pytest.MonkeyPatch, value: str, words: str) -> None:
    monkeypatch.setenv("CLIENT_STATE_KEYS", value)

    with pytest.raises(ValidationError, match=words):
        read()
