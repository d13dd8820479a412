"""The environment of the parts: what fits together, what is kept, what is given from outside."""

import os
import stat
from pathlib import Path

import pytest

from attendara_local.environment import compose, needs_sandbox
from attendara_local.part import StackError
from attendara_local.ports import Ports
from attendara_local.servers import recipes

PORTS = Ports()
REAL_MICROSOFT = {
    "GRAPH_URL": "https://graph.microsoft.com/v1.0",
    "MICROSOFT_AUTHORITY": "https://login.microsoftonline.com/common",
    "MICROSOFT_CLIENT_ID": "app",
    "MICROSOFT_CLIENT_SECRET": "secret",
    "OIDC_ISSUER": "https://id.example",
    "OIDC_CLIENT_ID": "client",
    "OIDC_CLIENT_SECRET": "secret",
}


def test_auth_takes_the_credential_of_each_caller(tmp_path: Path) -> None:
    parts = compose(PORTS, tmp_path, {})

    accepted = parts["auth"]["SERVICE_CREDENTIALS"].split(",")
    shown = [own["SERVICE_CREDENTIAL"] for own in parts.values() if "SERVICE_CREDENTIAL" in own]
    assert sorted(accepted) == sorted(shown)
    assert len(set(shown)) == 4


def test_only_the_operator_may_use_the_other_doors(tmp_path: Path) -> None:
    parts = compose(PORTS, tmp_path, {})

    for service in ("settings-web", "sync-worker"):
        assert parts[service]["SERVICE_CREDENTIALS"] == parts["cli"]["SERVICE_CREDENTIAL"]


def test_the_sandbox_knows_auth_and_settings_web_as_they_know_themselves(tmp_path: Path) -> None:
    parts = compose(PORTS, tmp_path, {})

    sandbox, auth, web = parts["sandbox"], parts["auth"], parts["settings-web"]
    assert sandbox["SANDBOX_CLIENT_ID"] == auth["MICROSOFT_CLIENT_ID"]
    own_return, admin_return = sandbox["SANDBOX_REDIRECT_URIS"].split(",")
    assert own_return == auth["MICROSOFT_REDIRECT_URI"]
    assert admin_return == own_return.replace("/return", "/admin-return")
    assert sandbox["SANDBOX_OIDC_CLIENT_ID"] == web["OIDC_CLIENT_ID"]
    assert Path(auth["MICROSOFT_CA_FILE"]).parent == Path(sandbox["SANDBOX_DATA"])


def test_the_gateway_is_told_neither_mongodb_nor_redis(tmp_path: Path) -> None:
    gateway = compose(PORTS, tmp_path, {})["webhook-gateway"]

    assert not {"MONGODB_URL", "REDIS_URL", "AUTH_URL", "SERVICE_CREDENTIAL"} & gateway.keys()


def test_secrets_are_kept_so_that_data_can_be_read_after_a_restart(tmp_path: Path) -> None:
    first, second = (compose(PORTS, tmp_path, {})["auth"]["TOKEN_KEYS"] for _ in range(2))

    assert first == second
    assert stat.S_IMODE((tmp_path / "secrets.env").stat().st_mode) == 0o600


def test_secrets_of_two_stacks_differ(tmp_path: Path) -> None:
    one, other = (compose(PORTS, tmp_path / name, {})["auth"]["TOKEN_KEYS"] for name in ("one", "other"))

    assert one != other


def test_an_address_that_is_given_is_used_and_its_server_not_started(tmp_path: Path) -> None:
    given = {"MONGODB_URL": "mongodb://elsewhere", "REDIS_URL": ""}

    parts = compose(PORTS, tmp_path, given)

    assert parts["renewer"]["MONGODB_URL"] == "mongodb://elsewhere"
    assert parts["renewer"]["REDIS_URL"] == "redis://localhost:8421/0"
    assert [recipe.name for recipe in recipes(PORTS, tmp_path, given)] == ["redis", "broker"]


def test_clients_are_set_up_for_tansu_only_when_it_is_the_broker(tmp_path: Path) -> None:
    given = {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"}

    assert compose(PORTS, tmp_path, {})["sync-worker"]["KAFKA_IDEMPOTENCE"] == "false"
    assert "KAFKA_IDEMPOTENCE" not in compose(PORTS, tmp_path, given)["sync-worker"]


def test_the_servers_inherit_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector")

    for recipe in recipes(PORTS, tmp_path, os.environ):
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in recipe.environment


def test_the_sandbox_stands_for_microsoft_unless_there_is_one() -> None:
    assert needs_sandbox({})
    assert not needs_sandbox(REAL_MICROSOFT)


@pytest.mark.parametrize("absent", REAL_MICROSOFT)
def test_a_half_given_microsoft_is_refused_by_what_is_missing(absent: str) -> None:
    half = REAL_MICROSOFT | {absent: ""}

    with pytest.raises(StackError, match=f"also give {absent}$"):
        needs_sandbox(half)
