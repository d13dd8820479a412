"""`attendara announce`: asks each service that announces documents to announce them all anew."""

from attendara_cli.doors import Door, auth_door
from attendara_cli.settings import Settings


async def announce_again(settings: Settings, organization: str | None) -> dict[str, int]:
    """How many documents each service will announce. Raises SystemExit with one line when a service can't be asked."""
    doors = {
        "auth": auth_door(settings),
        "settings-web": Door(settings, "settings-web", settings.settings_web_url),
        "sync-worker": Door(settings, "sync-worker", settings.sync_worker_url),
    }
    query = {"organization": organization} if organization else {}
    return {service: await _ask(door, query) for service, door in doors.items()}


async def _ask(door: Door, query: dict[str, str]) -> int:
    async with door:
        return int((await door.ask("POST", "/announce", params=query))["announced"])
