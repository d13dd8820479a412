"""A browser, an app and MSAL before the sandbox's Microsoft: two accounts, and what a sign-in or a token request sends."""

import base64
import contextlib
import hashlib
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import jwt
import trustme
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from outlook_sandbox.accounts import PERSONAL_TENANT, Account
from outlook_sandbox.app import make_sandbox
from outlook_sandbox.database import Database
from outlook_sandbox.settings import Settings
from outlook_sandbox.state import Sandbox
from tests.graph_contract import checked_app

WORK_TENANT = "6e0b2c1e-94a7-4f53-8a25-60f9d2ac4b11"
PERSONAL = Account("00000000-0000-0000-66f3-3332eca7ea81", PERSONAL_TENANT, "lena@outlook.example", "Lena", "personal")
WORK = Account("0d7c1c7f-3f0e-4b6a-8a59-3a6f1d2e9c55", WORK_TENANT, "miriam@praxis.example", "Miriam", "work")
APP = Settings().client_id
SECRET = Settings().client_secret.get_secret_value()
RETURN = "http://localhost:8400/connect/microsoft/return"
SCOPES = "openid profile offline_access User.Read Calendars.ReadWrite MailboxSettings.ReadWrite"
VERIFIER = "a-verifier-that-is-long-enough-for-the-rule-of-43"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
HTTPS = "https://localhost:8411"
CP1 = '{"access_token":{"xms_cc":{"values":["cp1"]}}}'
Json = dict[str, Any]


@dataclass
class Microsoft:
    """A sandbox with the two accounts and no others, and what an app does with it."""

    sandbox: Sandbox
    http: httpx2.AsyncClient

    async def pick(self, account: Account, answer: str = "", tenant: str = "common", **changes: str | None) -> httpx2.Response:
        """Pick an account at the sign-in page, or answer the page after it."""
        return await self.http.post(address(tenant, **changes), data={"account": account.id, "answer": answer})

    async def code(self, account: Account, tenant: str = "common", **changes: str | None) -> str:
        return answer_of(await self.pick(account, "accept", tenant, **changes))["code"]

    async def ask_token(self, tenant: str = "common", without: str = "", **changes: str) -> httpx2.Response:
        """A token request of the settings' app; by default one for a code."""
        form = {"client_id": APP, "client_secret": SECRET, "grant_type": "authorization_code"}
        form |= {"redirect_uri": RETURN, "code_verifier": VERIFIER} | changes
        form.pop(without, None)
        return await self.http.post(f"/{tenant}/oauth2/v2.0/token", data=form)

    async def sign_in(self, account: Account, tenant: str = "common", claims: str = "", **changes: str | None) -> Json:
        """The tokens of a fresh sign-in; `claims` go with the token request, as MSAL sends them."""
        more = {"claims": claims} if claims else {}
        answer = await self.ask_token(tenant, code=await self.code(account, tenant, **changes), **more)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def refresh(self, refresh_token: str, **changes: str) -> httpx2.Response:
        return await self.ask_token(grant_type="refresh_token", refresh_token=refresh_token, **changes)

    async def me(self, access_token: str) -> httpx2.Response:
        return await self.http.get("/v1.0/me", headers={"Authorization": f"Bearer {access_token}"})


@contextlib.asynccontextmanager
async def microsoft() -> AsyncIterator[Microsoft]:
    sandbox = small_sandbox()
    transport = httpx2.ASGITransport(checked_app(sandbox))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8410") as client:
        yield Microsoft(sandbox, client)


def small_sandbox(settings: Settings | None = None, path: Path | None = None) -> Sandbox:
    """A sandbox whose only people are the two, as if nobody had seeded it."""
    sandbox = make_sandbox(settings or Settings(kafka_bootstrap_servers=None), Database(path))
    sandbox.accounts.clear()
    sandbox.tenants.clear()
    sandbox.accounts.add(PERSONAL)
    sandbox.accounts.add(WORK)
    return sandbox


def address(tenant: str = "common", /, **changes: str | None) -> str:
    params = {
        "client_id": APP,
        "redirect_uri": RETURN,
        "response_type": "code",
        "scope": SCOPES,
        "state": "s t&1",
        "nonce": "n-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return f"/{tenant}/oauth2/v2.0/authorize?" + urlencode({k: v for k, v in params.items() if v is not None})


def answer_of(response: httpx2.Response) -> dict[str, str]:
    """What the app is told by redirect."""
    assert response.status_code == 302, response.text
    assert response.headers["location"].startswith(RETURN)
    return dict(parse_qsl(urlsplit(response.headers["location"]).query, keep_blank_values=True))


@dataclass
class Listener:
    """A sandbox behind TLS on a free port, with a certificate of its own authority."""

    sandbox: Sandbox
    base: str
    ca: Path

    def client(self) -> httpx2.Client:
        return httpx2.Client(verify=ssl.create_default_context(cafile=str(self.ca)))


@contextlib.contextmanager
def listening(folder: Path) -> Iterator[Listener]:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()  # so that a client that is faster than the server's thread waits for it
        port = door.getsockname()[1]
        authority = trustme.CA()
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        sandbox = small_sandbox(Settings(https_port=port, kafka_bootstrap_servers=None))
        app = checked_app(sandbox)
        config = uvicorn.Config(app, ssl_certfile=str(folder / "server.pem"), log_level="error", ws="none", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        yield Listener(sandbox, f"https://localhost:{port}", folder / "ca.pem")
        server.should_exit = True
        thread.join(10)


class MsalHttp:
    """MSAL's view of an HTTP client, over httpx2 and the sandbox's certificate authority."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> httpx2.Response:
        return self._client.get(url, params=params, headers=headers)

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> httpx2.Response:
        """An assertion is bytes in MSAL's form, which requests takes and httpx2 doesn't."""
        form = {name: value.decode() if isinstance(value, bytes) else value for name, value in (data or {}).items()}
        return self._client.post(url, params=params, data=form, headers=headers)

    def close(self) -> None:
        self._client.close()


@dataclass
class Certificate:
    """A self-signed certificate and its key, as an app holds them."""

    key: str
    pem: str

    def assertion(self, app: str, header: str = "x5t#S256", **changes: Any) -> str:
        certificate = x509.load_pem_x509_certificate(self.pem.encode())
        method = hashes.SHA256() if header == "x5t#S256" else hashes.SHA1()  # noqa: S303 - as x5t is
        thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(method)).rstrip(b"=").decode()
        now = int(time.time())
        claims = {"aud": f"{HTTPS}/common/oauth2/v2.0/token", "iss": app, "sub": app, "jti": "1", "exp": now + 600} | changes
        algorithm = "PS256" if header == "x5t#S256" else "RS256"
        return jwt.encode(claims, self.key, algorithm, {header: thumbprint} if header else {})


def make_certificate(ends: timedelta = timedelta(days=30)) -> Certificate:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An app")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + ends)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    encoded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Certificate(encoded.decode(), pem.decode())
