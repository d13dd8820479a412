"""Access tokens in memory: five minutes at most, and no longer than they are of use."""

from datetime import UTC, datetime, timedelta

import httpx2
from fastapi import FastAPI, Request
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from pydantic import SecretStr

from common.graph import AccessTokens
from common.graph.tokens import auth_client
from common.settings import AuthClientSettings
from tests.serving import serving

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


class Auth:
    """auth's door: a new token for each question."""

    def __init__(self) -> None:
        self.now = NOW
        self.asked: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.path.split("/")[-2])
        expires = (self.now + timedelta(hours=1)).isoformat()
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
