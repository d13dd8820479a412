"""`attendara announce`: asks each service that announces documents to announce them all anew."""

import httpx2

from attendara_cli.settings import Settings


async def announce_again(settings: Settings, organization: str | None) -> dict[str, int]:
    """How many documents each service will announce. Raises SystemExit with one line when a service can't be asked."""
    if not settings.service_credential.get_secret_value():
        raise SystemExit("SERVICE_CREDENTIAL is needed: <name>:<secret>, one that the services accept")
    doors = {"auth": settings.auth_url, "settings-web": settings.settings_web_url, "sync-worker": settings.sync_worker_url}
    headers = {"Authorization": f"Bearer {settings.service_credential.get_secret_value()}"}
    query = {"organization": organization} if organization else {}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        return {service: await _ask(http, service, url, query) for service, url in doors.items()}


async def _ask(http: httpx2.AsyncClient, service: str, url: str, query: dict[str, str]) -> int:
    try:
        answer = await http.post(f"{url}/internal/v1/announce", params=query)
    except httpx2.HTTPError as error:
        raise SystemExit(f"{service} at {url} can't be reached: {type(error).__name__}") from error
    if answer.status_code != 200:
        raise SystemExit(f"{service} at {url} refused: {answer.status_code} {answer.text[:200]}")
    return int(answer.json()["announced"])
