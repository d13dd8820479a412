"""The services' internal doors as the command uses them: whatever goes wrong ends it with one line."""

import ssl
from types import TracebackType
from typing import Any, Self

import httpx2

from attendara_cli.settings import Settings


class Door:
    """One service's door. Each call raises SystemExit with one line when the service can't be asked, or refuses."""

    def __init__(self, settings: Settings, service: str, url: str, verify: ssl.SSLContext | bool = True) -> None:
        credential = settings.service_credential.get_secret_value()
        if not credential:
            raise SystemExit("SERVICE_CREDENTIAL is needed: <name>:<secret>, one that the services accept")
        self._name = f"{service} at {url}"
        headers = {"Authorization": f"Bearer {credential}"}
        self._http = httpx2.AsyncClient(base_url=url, headers=headers, timeout=60, verify=verify)

    async def ask(self, method: str, path: str, **rest: Any) -> Any:
        """The decoded answer."""
        try:
            answer = await self._http.request(method, f"/internal/v1{path}", **rest)
        except httpx2.HTTPError as error:
            raise SystemExit(f"{self._name} can't be reached: {type(error).__name__}") from error
        if answer.status_code != 200:
            raise SystemExit(f"{self._name} refused: {answer.status_code} {_words(answer)}")
        return answer.json()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._http.aclose()


def auth_door(settings: Settings) -> Door:
    return Door(settings, "auth", settings.auth_url, settings.auth_trust())


def _words(answer: httpx2.Response) -> str:
    if answer.headers.get("content-type", "").startswith("application/problem+json"):
        return str(answer.json()["detail"])
    return answer.text[:200]
