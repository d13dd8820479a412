"""The vault: what it seals opens for its owner and key only, and wrong keys are said clearly."""

import base64
import os
from dataclasses import replace

import pytest
from pydantic import SecretStr

from auth.vault import Owner, Unreadable, Vault, WrappedKey, make_vault

OWNER = Owner("org_1", "con_1")
OLD, NEW = os.urandom(32), os.urandom(32)


def given(kid: str, key: bytes) -> SecretStr:
    return SecretStr(f"{kid}:{base64.b64encode(key).decode()}")


@pytest.fixture
def vault() -> Vault:
    return make_vault([given("k1", OLD)])


def test_what_is_sealed_opens_again_and_is_not_readable(vault: Vault) -> None:
    key = vault.new_key(OWNER)
    sealed = vault.seal(b"a refresh token", key, OWNER)

    assert vault.open(sealed, key, OWNER) == b"a refresh token"
    assert b"refresh" not in sealed + key.wrapped


def test_the_same_text_is_sealed_differently_each_time(vault: Vault) -> None:
    key = vault.new_key(OWNER)
    assert vault.seal(b"text", key, OWNER) != vault.seal(b"text", key, OWNER)


@pytest.mark.parametrize("other", [Owner("org_2", "con_1"), Owner("org_1", "con_2")])
def test_a_record_moved_to_another_owner_does_not_open(vault: Vault, other: Owner) -> None:
    key = vault.new_key(OWNER)
    with pytest.raises(Unreadable):
        vault.open(vault.seal(b"text", key, OWNER), key, other)


def test_a_record_does_not_open_for_another_purpose(vault: Vault) -> None:
    key = vault.new_key(OWNER)
    with pytest.raises(Unreadable):
        vault.open(vault.seal(b"text", key, OWNER), key, OWNER, purpose="other")


@pytest.mark.parametrize("position", [0, 12, -1])
def test_a_changed_record_does_not_open(vault: Vault, position: int) -> None:
    key = vault.new_key(OWNER)
    sealed = bytearray(vault.seal(b"text", key, OWNER))
    sealed[position] ^= 1
    with pytest.raises(Unreadable):
        vault.open(bytes(sealed), key, OWNER)


def test_the_first_key_wraps_and_the_others_still_open(vault: Vault) -> None:
    key = vault.new_key(OWNER)
    sealed = vault.seal(b"text", key, OWNER)
    rotated = make_vault([given("k2", NEW), given("k1", OLD)])

    assert rotated.open(sealed, key, OWNER) == b"text"
    assert rotated.new_key(OWNER).kid == "k2"


def test_a_missing_key_is_named(vault: Vault) -> None:
    with pytest.raises(Unreadable, match="no key 'k1'"):
        make_vault([given("k2", NEW)]).check(vault.new_key(OWNER), OWNER)


def test_a_wrong_key_under_the_right_name_is_an_error(vault: Vault) -> None:
    with pytest.raises(Unreadable, match="wrong key in TOKEN_KEYS"):
        make_vault([given("k1", NEW)]).check(vault.new_key(OWNER), OWNER)


def test_a_wrapped_key_can_not_be_passed_off_under_another_key_id() -> None:
    both = make_vault([given("k1", OLD), given("k2", OLD)])
    key = both.new_key(OWNER)
    with pytest.raises(Unreadable):
        both.check(replace(key, kid="k2"), OWNER)


def test_a_record_that_is_no_record_does_not_open(vault: Vault) -> None:
    with pytest.raises(Unreadable):
        vault.check(WrappedKey("k1", b""), OWNER)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ([given("k1", b"short")], "'k1' is not the base64 of 32 bytes"),
        ([SecretStr("k1:***")], "'k1' is not the base64 of 32 bytes"),
        ([SecretStr(base64.b64encode(OLD).decode())], "id of its own"),
        ([given("", OLD)], "id of its own"),
        ([given("a|b", OLD)], "id of its own"),
        ([given("k1", OLD), given("k1", NEW)], "id of its own"),
    ],
)
def test_keys_that_can_not_be_used_are_refused_in_words(keys: list[SecretStr], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_vault(keys)


def test_a_re_wrapped_key_opens_the_same_record_under_the_new_key_alone(vault: Vault) -> None:
    key = vault.new_key(OWNER)
    sealed = vault.seal(b"text", key, OWNER)

    again = make_vault([given("k2", NEW), given("k1", OLD)]).rewrapped(sealed, key, OWNER)

    assert again.kid == "k2"
    assert make_vault([given("k2", NEW)]).open(sealed, again, OWNER) == b"text"
    assert vault.open(sealed, key, OWNER) == b"text"


def test_a_key_that_does_not_open_its_record_is_not_re_wrapped(vault: Vault) -> None:
    key, other = vault.new_key(OWNER), vault.new_key(OWNER)
    rotated = make_vault([given("k2", NEW), given("k1", OLD)])
    for sealed, wrapped in [
        (vault.seal(b"text", other, OWNER), key),
        (vault.seal(b"text", key, OWNER), WrappedKey("k1", key.wrapped[:-1] + b"x")),
        (vault.seal(b"text", key, OWNER), WrappedKey("k9", key.wrapped)),
    ]:
        with pytest.raises(Unreadable):
            rotated.rewrapped(sealed, wrapped, OWNER)
