"""The environment of every part, composed in one place; what is given from outside goes before it."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from attendara_local import servers
from attendara_local.part import StackError
from attendara_local.ports import Ports
from attendara_local.secrets_file import CALLERS, credential_variable, read_or_make

MICROSOFT_APP = ("5a9d2c1e-7b40-4c7e-9d53-2f6f0b8f6a11", "sandbox-app-secret")
OPENID_CLIENT = ("attendara-settings", "sandbox-oidc-secret")

DOORS = {"auth": CALLERS, "settings-web": ("cli",), "sync-worker": ("cli",)}
"""The services with internal doors, and who may use them."""

MICROSOFT = ("GRAPH_URL", "MICROSOFT_AUTHORITY")
"""Given both, there is a Microsoft already and no sandbox is started; then these are needed as well:"""
WITH_MICROSOFT = (
    "MICROSOFT_CLIENT_ID",
    "MICROSOFT_CLIENT_SECRET",
    "OIDC_ISSUER",
    "OIDC_CLIENT_ID",
    "OIDC_CLIENT_SECRET",
)


def needs_sandbox(given: Mapping[str, str]) -> bool:
    """Say whether the sandbox stands for Microsoft; raise when it is only half replaced."""
    missing = [name for name in MICROSOFT if not given.get(name)]
    if len(missing) == len(MICROSOFT):
        return True
    missing += [name for name in WITH_MICROSOFT if not given.get(name)]
    if missing:
        raise StackError(f"GRAPH_URL and MICROSOFT_AUTHORITY replace the sandbox; also give {', '.join(missing)}")
    return False


def compose(ports: Ports, folder: Path, given: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The environment of each part by its name in the Procfile, and of `cli`."""
    secrets = read_or_make(folder / "secrets.env")
    addresses = servers.addresses(ports, given)
    kafka = {name: value for name, value in addresses.items() if name.startswith("KAFKA_")}
    stores = {name: addresses[name] for name in ("MONGODB_URL", "REDIS_URL")}
    parts = {
        "sandbox": kafka | _sandbox(ports, folder),
        "settings-web": kafka | stores | _settings_web(ports),
        "webhook-gateway": kafka | {"CLIENT_STATE_KEYS": secrets["CLIENT_STATE_KEYS"]},
        "auth": kafka | stores | _auth(ports, folder, secrets),
        "sync-worker": kafka | stores | _calls_auth(ports),
        "renewer": kafka | stores | _calls_auth(ports) | _renewer(ports, secrets),
        "cli": kafka | _calls_auth(ports) | _calls_others(ports),
    }
    for caller in CALLERS:
        parts[caller]["SERVICE_CREDENTIAL"] = secrets[credential_variable(caller)]
    for service, callers in DOORS.items():
        accepted = [secrets[credential_variable(caller)] for caller in callers]
        parts[service]["SERVICE_CREDENTIALS"] = ",".join(accepted)
    shared = {"LOG_FORMAT": "text", "PYTHONUNBUFFERED": "1"} | ports.environment()
    programs = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), given.get("PATH", os.defpath)])}
    return {name: shared | own | _without_empty(given) | programs for name, own in parts.items()}


def _sandbox(ports: Ports, folder: Path) -> dict[str, str]:
    settings = f"http://localhost:{ports.settings_web}"
    return {
        "SANDBOX_DATA": str(folder / "sandbox"),
        "SANDBOX_CLIENT_ID": MICROSOFT_APP[0],
        "SANDBOX_CLIENT_SECRET": MICROSOFT_APP[1],
        "SANDBOX_REDIRECT_URIS": f"{settings}/connect/microsoft/return,{settings}/connect/microsoft/admin-return",
        "SANDBOX_OIDC_CLIENT_ID": OPENID_CLIENT[0],
        "SANDBOX_OIDC_CLIENT_SECRET": OPENID_CLIENT[1],
        "SANDBOX_OIDC_REDIRECT_URIS": f"{settings}/signin/return",
    }


def _settings_web(ports: Ports) -> dict[str, str]:
    return _calls_auth(ports) | {
        "PUBLIC_URL": f"http://localhost:{ports.settings_web}",
        "OIDC_ISSUER": f"http://localhost:{ports.sandbox_http}/attendara-id",
        "OIDC_CLIENT_ID": OPENID_CLIENT[0],
        "OIDC_CLIENT_SECRET": OPENID_CLIENT[1],
    }


def _auth(ports: Ports, folder: Path, secrets: Mapping[str, str]) -> dict[str, str]:
    return _graph(ports) | {
        "MICROSOFT_AUTHORITY": f"https://localhost:{ports.sandbox_https}/common",
        "MICROSOFT_CLIENT_ID": MICROSOFT_APP[0],
        "MICROSOFT_CLIENT_SECRET": MICROSOFT_APP[1],
        "MICROSOFT_CA_FILE": str(folder / "sandbox" / "ca.pem"),
        "MICROSOFT_REDIRECT_URI": f"http://localhost:{ports.settings_web}/connect/microsoft/return",
        "TOKEN_KEYS": secrets["TOKEN_KEYS"],
    }


def _renewer(ports: Ports, secrets: Mapping[str, str]) -> dict[str, str]:
    return {
        "CLIENT_STATE_KEYS": secrets["CLIENT_STATE_KEYS"],
        "NOTIFICATION_URL": f"http://localhost:{ports.webhook_gateway}",
    }


def _calls_auth(ports: Ports) -> dict[str, str]:
    return _graph(ports) | {"AUTH_URL": f"http://localhost:{ports.auth}"}


def _calls_others(ports: Ports) -> dict[str, str]:
    return {
        "SETTINGS_WEB_URL": f"http://localhost:{ports.settings_web}",
        "SYNC_WORKER_URL": f"http://localhost:{ports.sync_worker}",
    }


def _graph(ports: Ports) -> dict[str, str]:
    return {"GRAPH_URL": f"http://localhost:{ports.sandbox_http}/v1.0"}


def _without_empty(given: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in given.items() if value}
