"""The id_token's checks, with crafted tokens: each single thing that is wrong is found."""

import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from auth.id_token import Identity, Published, UnknownKey, Untrusted, check_id_token

TENANT = "c1f6d8e2-5a37-4b90-8e64-2f9b7d103c55"
TEMPLATE = "https://login.microsoftonline.com/{tenantid}/v2.0"
KEY, OTHER_KEY = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))


def published(issuer: str = TEMPLATE, key_issuer: str | None = None) -> Published:
    key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())) | {"kid": "k1", "use": "sig"}
    return Published(issuer, {"k1": key | ({"issuer": key_issuer} if key_issuer else {})})


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    right = {
        "aud": "our-app",
        "iss": TEMPLATE.replace("{tenantid}", TENANT),
        "tid": TENANT,
        "oid": "an-oid",
        "nonce": "our-nonce",
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "preferred_username": "anna@bergpraxis.example",
    }
    return {name: value for name, value in (right | changes).items() if value is not None}


def signed(content: dict[str, Any], key: Any = KEY, kid: str = "k1") -> str:
    return jwt.encode(content, key, algorithm="RS256", headers={"kid": kid})


def check(token: str, keys: Published | None = None) -> Identity:
    return check_id_token(token, keys or published(), client_id="our-app", nonce="our-nonce")


@pytest.mark.parametrize("key_issuer", [None, TEMPLATE, TEMPLATE.replace("{tenantid}", TENANT)])
def test_a_right_token_says_who_signed_in(key_issuer: str | None) -> None:
    assert check(signed(claims()), published(key_issuer=key_issuer)) == Identity(TENANT, "an-oid", "anna@bergpraxis.example")


def test_one_tenants_own_authority_has_a_literal_issuer() -> None:
    assert check(signed(claims()), published(issuer=claims()["iss"])).tid == TENANT


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-app"},
        {"exp": int(time.time()) - 3600},
        {"nbf": int(time.time()) + 3600},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": None},
        {"aud": None},
        {"oid": None},
        {"tid": None},
        {"iss": None},
        {"iss": "https://login.microsoftonline.com/another-tenant/v2.0"},
        {"iss": "https://evil.example/" + TENANT + "/v2.0"},
        {"tid": "another-tenant"},
    ],
    ids=str,
)
def test_a_token_with_one_wrong_claim_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Untrusted):
        check(signed(claims(**changes)))


def test_a_token_signed_with_another_key_is_refused() -> None:
    with pytest.raises(Untrusted):
        check(signed(claims(), OTHER_KEY))


def test_a_key_that_is_not_published_is_told_apart_so_that_keys_can_be_read_again() -> None:
    with pytest.raises(UnknownKey):
        check(signed(claims(), kid="k2"))


def test_a_key_of_another_issuer_does_not_vouch_for_this_tenant() -> None:
    with pytest.raises(Untrusted, match="another issuer"):
        check(signed(claims()), published(key_issuer=TEMPLATE.replace("{tenantid}", "another")))


@pytest.mark.parametrize(("algorithm", "key"), [("none", ""), ("HS256", "a-secret-of-their-own-that-is-long-enough")])
def test_a_token_without_the_right_kind_of_signature_is_refused(algorithm: str, key: str) -> None:
    token = jwt.encode(claims(), key, algorithm=algorithm, headers={"kid": "k1"})
    with pytest.raises(Untrusted):
        check(token)


@pytest.mark.parametrize("text", ["", "nonsense", "a.b.c"])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(Untrusted):
        check(text)


def test_no_refusal_quotes_the_token() -> None:
    token = signed(claims(nonce="another"))
    with pytest.raises(Untrusted) as refused:
        check(token)
    assert not any(part in str(refused.value) for part in token.split("."))
