"""Access tokens in memory: five minutes at most, and no longer than they are of use."""

from datetime import UTC, datetime, timedelta

import httpx2

from common.graph import AccessTokens

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
