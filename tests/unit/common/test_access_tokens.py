"""Access tokens in memory: five minutes at most, and no longer than they are of use."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import msgspec
import pytest
from fastapi import FastAPI, Request
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from pydantic import SecretStr

from common.graph import AccessTokens, Graph
from common.graph.tokens import BearerAuth, auth_client, challenge_of
from common.settings import AuthClientSettings
from tests.serving import serving

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


class Auth:
    """auth's door: a new token for each question."""

    def __init__(self) -> None:
        self.now = NOW
        self.asked: list[str] = []
        self.wishes: list[dict[str, Any]] = []
        self.life = timedelta(hours=1)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.path.split("/")[-2])
        self.wishes.append(msgspec.json.decode(request.content))
        expires = (self.now + self.life).isoformat()
        return httpx2.Response(200, json={"access_token": f"token {len(self.asked)}", "expires_at": expires})

    def tokens(self) -> AccessTokens:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self), base_url="http://auth")
        return AccessTokens(http, lambda: self.now)


async def test_a_token_serves_for_five_minutes() -> None:
    auth = Auth()
    tokens = auth.tokens()
    assert await tokens.get("con_a") == "token 1"
    auth.now += timedelta(minutes=4, seconds=59)
    assert await tokens.get("con_a") == "token 1"
    auth.now += timedelta(seconds=1)
    assert await tokens.get("con_a") == "token 2"


async def test_a_token_that_graph_refused_is_asked_for_anew() -> None:
    auth = Auth()
    tokens = auth.tokens()
    token = await tokens.get("con_a")
    assert await tokens.get("con_a", refused=token) == "token 2"
    assert await tokens.get("con_a") == "token 2"


async def test_a_token_that_ends_too_soon_is_asked_for_anew() -> None:
    auth = Auth()
    tokens = auth.tokens()
    await tokens.get("con_a", life=timedelta(minutes=45))
    auth.life = timedelta(minutes=20)
    for name in ("con_b", "con_c"):
        await tokens.get(name)
    auth.life = timedelta(minutes=60)

    assert await tokens.get("con_a", life=timedelta(minutes=45)) == "token 1"
    assert await tokens.get("con_b", life=timedelta(minutes=45)) == "token 4"
    assert await tokens.get("con_c", life=timedelta(minutes=15)) == "token 3"
    assert [wish["min_life"] for wish in auth.wishes] == [2700, 300, 300, 2700]


NOT_BEFORE = '{"access_token":{"nbf":{"essential":true, "value":"1604106651"}}}'
ENCODED = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwgInZhbHVlIjoiMTYwNDEwNjY1MSJ9fX0="
CHALLENGE = (
    'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
    f'error="insufficient_claims", claims="{ENCODED}"'
)


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        (CHALLENGE, NOT_BEFORE),
        (f'Bearer claims="{ENCODED.rstrip("=")}", error="insufficient_claims"', NOT_BEFORE),
        (f'Basic realm="x", {CHALLENGE}', NOT_BEFORE),
        (CHALLENGE.replace("insufficient_claims", "invalid_token"), None),
        ('Bearer error="insufficient_claims"', None),
        ('Bearer error="insufficient_claims", claims="%%%"', None),
        (f'Bearer error="insufficient_claims", claims="{base64.b64encode(b"[1]").decode()}"', None),
        (f'Bearer error="insufficient_claims", claims="{base64.b64encode(b"[" * 3_000).decode()}"', None),
        (f'Bearer error="insufficient_claims", claims="{base64.b64encode(bytes([255] * 9)).decode()}"', None),
        (f'Bearer error="insufficient_claims", claims="{base64.b64encode(b"{}" + b" " * 4_000).decode()}"', None),
        ("", None),
    ],
)
def test_a_claims_challenge_is_read_and_nothing_else(header: str, claims: str | None) -> None:
    assert challenge_of({"www-authenticate": header}) == claims


@pytest.mark.parametrize(
    ("status", "header", "tries"),
    [(401, CHALLENGE, 2), (401, "Bearer", 2), (403, CHALLENGE, 2), (403, "Bearer", 1), (200, "", 1), (500, CHALLENGE, 1)],
)
async def test_a_refused_token_is_replaced_once_with_what_graph_asked_for(status: int, header: str, tries: int) -> None:
    auth, shown = Auth(), []

    def graph(request: httpx2.Request) -> httpx2.Response:
        shown.append(request.headers["authorization"])
        return httpx2.Response(status if len(shown) == 1 else 200, headers={"WWW-Authenticate": header})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(graph)) as http:
        await http.get("https://graph.example/me", auth=BearerAuth(auth.tokens(), "con_a"))

    assert shown == ["Bearer token 1", "Bearer token 2"][:tries]
    if tries == 2:
        claims = NOT_BEFORE if header == CHALLENGE else None
        refused = hashlib.sha256(b"token 1").hexdigest()
        assert auth.wishes[1] == {"refused": refused, "claims": claims, "min_life": 300}


async def test_a_subscription_is_attached_to_a_token_that_lives_on() -> None:
    auth = Auth()
    subscription = {"id": "sub", "resource": "/me/calendars/c/events", "expirationDateTime": "2026-11-23T10:00:00Z"}

    def graph(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=subscription | {"value": []})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(graph)) as http:
        for number, ask in enumerate(
            (
                lambda mailbox: mailbox.calendars(),
                lambda mailbox: mailbox.renew_subscription("sub", NOW),
                lambda mailbox: mailbox.create_subscription("/me/events", "https://hook", "https://hook", "state", NOW),
                lambda mailbox: mailbox.delete_subscription("sub"),
            )
        ):
            await ask(Graph("https://graph.example/v1.0", http, auth.tokens()).mailbox(f"con_{number}", "mailbox"))

    assert [wish["min_life"] for wish in auth.wishes] == [300, 2700, 2700, 300]


async def test_tokens_of_connections_that_nobody_uses_any_more_are_forgotten() -> None:
    auth = Auth()
    tokens = auth.tokens()
    for number in range(100):
        await tokens.get(f"con_{number}")
    auth.now += timedelta(minutes=6)
    await tokens.get("con_a")
    assert "token 7" not in str(vars(tokens))
    assert str(vars(tokens)).count("access_token") == 1


async def test_auth_is_asked_with_the_credential_and_within_the_callers_trace() -> None:
    seen: list[dict[str, str]] = []

    async def answer(request: Request) -> dict[str, str]:
        seen.append(dict(request.headers))
        return {"access_token": "token", "expires_at": "2099-01-01T00:00:00Z"}

    app = FastAPI(openapi_url=None)
    app.post("/internal/v1/connections/con_a/token")(answer)
    current = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    async with serving(lambda _: app) as url:
        settings = AuthClientSettings(auth_url=url, service_credential=SecretStr("web:one"))
        async with auth_client(settings) as http:
            with use_span(NonRecordingSpan(current)):
                await AccessTokens(http).get("con_a")
            await AccessTokens(http).get("con_a")

    within, without = seen
    assert within["traceparent"] == f"00-{0xABC:032x}-{0xDEF:016x}-01"
    assert "traceparent" not in without
    assert {one["authorization"] for one in seen} == {"Bearer web:one"}
