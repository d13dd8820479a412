"""The official MSAL at the sandbox's Microsoft over TLS, unchanged but for the authority's address."""

import base64
import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msal
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from outlook_sandbox.accounts import Account
from tests.unit.sandbox.identity_client import (
    APP,
    PERSONAL,
    RETURN,
    WORK,
    Listener,
    MsalHttp,
    answer_of,
    listening,
    make_certificate,
)

WANTED = ["User.Read", "Calendars.ReadWrite", "MailboxSettings.ReadWrite"]


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    with listening(tmp_path) as made:
        yield made


@pytest.mark.filterwarnings("ignore:.*response_mode.*")
@pytest.mark.parametrize("account", [PERSONAL, WORK])
def test_msal_signs_in_and_refreshes(listener: Listener, account: Account) -> None:
    with contextlib.closing(listener.client()) as client:
        app = msal_app(listener, client)
        flow = app.initiate_auth_code_flow(WANTED, redirect_uri=RETURN, response_mode="query")
        asked = urlsplit(flow["auth_uri"])
        assert asked.scheme == "http"
        picked = client.post(f"{listener.base}{asked.path}?{asked.query}", data={"account": account.id, "answer": "accept"})
        signed_in = app.acquire_token_by_auth_code_flow(flow, answer_of(picked))
        assert signed_in["id_token_claims"]["oid"] == account.id
        assert signed_in["token_source"] == "identity_provider"
        [known] = app.get_accounts()
        assert (known["username"], known["home_account_id"]) == (account.username, f"{account.id}.{account.tid}")
        cached = app.acquire_token_silent(WANTED, known)
        assert (cached["access_token"], cached["token_source"]) == (signed_in["access_token"], "cache")
        fresh = app.acquire_token_silent_with_error(WANTED, known, force_refresh=True)
        assert fresh["access_token"] != signed_in["access_token"]


def msal_app(listener: Listener, client: httpx2.Client, **more: Any) -> Any:
    known = {"client_credential": "sandbox-app-secret", "authority": f"{listener.base}/common"} | more
    return msal.ConfidentialClientApplication(APP, instance_discovery=False, http_client=MsalHttp(client), **known)


def msal_signs_in(app: Any, listener: Listener, client: httpx2.Client, account: Account) -> Any:
    """Goes through the code flow; returns MSAL's account."""
    flow = app.initiate_auth_code_flow(WANTED, redirect_uri=RETURN, response_mode="query")
    asked = urlsplit(flow["auth_uri"])
    picked = client.post(f"{listener.base}{asked.path}?{asked.query}", data={"account": account.id, "answer": "accept"})
    assert "access_token" in app.acquire_token_by_auth_code_flow(flow, answer_of(picked))
    return app.get_accounts()[0]


@pytest.mark.filterwarnings("ignore:.*response_mode.*")
def test_two_processes_with_msal_refresh_at_once(listener: Listener) -> None:
    with contextlib.closing(listener.client()) as client:
        first = msal.SerializableTokenCache()
        account = msal_signs_in(msal_app(listener, client, token_cache=first), listener, client, WORK)
        caches = [msal.SerializableTokenCache() for _ in range(2)]
        for cache in caches:
            cache.deserialize(first.serialize())
        apps = [msal_app(listener, client, token_cache=cache) for cache in caches]
        with ThreadPoolExecutor() as pool:
            answers = list(pool.map(lambda one: one.acquire_token_silent(WANTED, account, force_refresh=True), apps))
        assert len({answer["access_token"] for answer in answers}) == 2


@pytest.mark.filterwarnings("ignore:.*response_mode.*")
def test_msal_meets_a_claims_challenge(listener: Listener) -> None:
    with contextlib.closing(listener.client()) as client:
        app = msal_app(listener, client, client_capabilities=["CP1"])
        account = msal_signs_in(app, listener, client, WORK)

        def me(bearer: str) -> httpx2.Response:
            return client.get(f"{listener.base}/v1.0/me", headers={"Authorization": f"Bearer {bearer}"})

        held = app.acquire_token_silent(WANTED, account)
        assert me(held["access_token"]).status_code == 200
        assert held["expires_in"] > 20 * 3600
        listener.sandbox.tokens.challenge(WORK.id)
        challenged = me(held["access_token"])
        assert challenged.status_code == 401
        claims = base64.b64decode(challenged.headers["www-authenticate"].rpartition('claims="')[2].rstrip('"')).decode()
        fresh = app.acquire_token_silent(WANTED, account, claims_challenge=claims)
        assert me(fresh["access_token"]).status_code == 200


@pytest.mark.filterwarnings("ignore:.*response_mode.*")
@pytest.mark.parametrize("with_thumbprint", [True, False])
def test_msal_proves_itself_with_a_certificate(listener: Listener, with_thumbprint: bool) -> None:
    [own], certificate = listener.sandbox.apps.all(), make_certificate()
    listener.sandbox.apps.put(msgspec.structs.replace(own, secrets=(), certificates=(certificate.pem,)))
    credential = {"private_key": certificate.key, "public_certificate": certificate.pem}
    if with_thumbprint:
        read = x509.load_pem_x509_certificate(certificate.pem.encode())
        credential = {"private_key": certificate.key, "thumbprint": read.fingerprint(hashes.SHA1()).hex()}  # noqa: S303
    with contextlib.closing(listener.client()) as client:
        app = msal_app(listener, client, client_credential=credential)
        account = msal_signs_in(app, listener, client, WORK)
        assert "access_token" in app.acquire_token_silent(WANTED, account, force_refresh=True)
