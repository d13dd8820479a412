"""Settings are put together from parts, and behave alike in whatever order."""

import pytest
from pydantic import ValidationError

from common.settings import AuthClientSettings, DoorSettings, RedisSettings, ServiceSettings, StoreSettings


class ServiceFirst(ServiceSettings, StoreSettings, RedisSettings):
    pass


class ServiceLast(StoreSettings, RedisSettings, ServiceSettings):
    pass


@pytest.mark.parametrize("together", [ServiceFirst, ServiceLast])
def test_an_empty_variable_is_one_that_was_not_given(
    monkeypatch: pytest.MonkeyPatch, together: type[ServiceFirst] | type[ServiceLast]
) -> None:
    monkeypatch.setenv("KAFKA_IDEMPOTENCE", "")

    assert together().kafka_idempotence is True


def test_several_credentials_are_read_from_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_CREDENTIALS", "web:one, cli:two")

    read = DoorSettings()

    assert [credential.get_secret_value() for credential in read.service_credentials] == ["web:one", "cli:two"]


def test_all_mistakes_are_named_at_once_and_no_value_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Both(ServiceSettings, DoorSettings, AuthClientSettings):
        pass

    monkeypatch.setenv("SERVICE_CREDENTIALS", ",")
    monkeypatch.setenv("KAFKA_SESSION_TIMEOUT_MS", "hush-hush")

    with pytest.raises(ValidationError) as refused:
        Both()

    words = str(refused.value)
    assert {"kafka_session_timeout_ms", "service_credentials", "service_credential"} <= set(words.split())
    assert "hush-hush" not in words


@pytest.mark.parametrize("value", ["hush-hush", ":hush-hush", "web:", "web:one,hush-hush"])
def test_a_credential_without_a_name_is_refused_since_names_are_logged(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SERVICE_CREDENTIALS", value)

    with pytest.raises(ValidationError, match="each credential is <name>:<secret>") as refused:
        DoorSettings()
    assert "hush-hush" not in str(refused.value)


def test_one_caller_may_have_two_credentials_while_they_are_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_CREDENTIALS", "web:new,web:old")

    assert len(DoorSettings().service_credentials) == 2


def test_a_missing_file_of_authorities_is_named_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_CREDENTIAL", "web:one")
    monkeypatch.setenv("AUTH_CA_FILE", "/nowhere/ca.pem")

    with pytest.raises(ValidationError, match="auth_ca_file"):
        AuthClientSettings()
