"""Settings are put together from parts, and behave alike in whatever order."""

import shutil
from pathlib import Path

import pytest
import trustme
from pydantic import ValidationError

from common.settings import (
    AuthClientSettings,
    BrokerSettings,
    DoorSettings,
    RedisSettings,
    ServiceSettings,
    StoreSettings,
    read_settings,
)


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


class AllParts(ServiceSettings, StoreSettings, RedisSettings, DoorSettings, AuthClientSettings):
    pass


def _refused(monkeypatch: pytest.MonkeyPatch, **given: str) -> list[str]:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        read_settings(AllParts)
    return str(ended.value.code).splitlines()


def test_a_service_ends_with_a_line_for_each_mistake_that_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {
        "AUTH_URL": "localhost:8402",
        "KAFKA_BOOTSTRAP_SERVERS": "hush-hush",
        "KAFKA_SESSION_TIMEOUT_MS": "soon",
        "LOG_LEVEL": "loud",
        "MONGODB_URL": "postgres://hush-hush",
        "REDIS_URL": "hush-hush:6379",
        "SERVICE_CREDENTIALS": "hush-hush",
    }
    _, *lines = _refused(monkeypatch, **wrong)
    assert sorted(line.split(":")[0].strip() for line in lines) == sorted([*wrong, "SERVICE_CREDENTIAL"])
    assert "  SERVICE_CREDENTIAL: is missing" in lines
    assert "hush-hush" not in str(lines)


def test_a_rule_about_two_settings_is_named_beside_the_other_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    _, *lines = _refused(monkeypatch, KAFKA_SESSION_TIMEOUT_MS="3000", MONGODB_URL="nowhere")
    assert "  KAFKA_HEARTBEAT_INTERVAL_MS must be less than KAFKA_SESSION_TIMEOUT_MS" in lines
    assert "  SERVICE_CREDENTIALS: is missing" in lines


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Secret as Kubernetes mounts it: each file a link through `..data`, which is a link to the present version."""
    version = tmp_path / "..2026_01_01"
    version.mkdir()
    (tmp_path / "..data").symlink_to(version.name)
    for name, value in {"SERVICE_CREDENTIAL": "web:mounted\n", "service_credentials": "web:one,\ncli:two\n"}.items():
        (version / name).write_text(value)
        (tmp_path / name).symlink_to(f"..data/{name}")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("mounted")
def test_secrets_are_read_from_mounted_files_without_the_newline_at_their_end() -> None:
    read = read_settings(AllParts)
    assert read.service_credential.get_secret_value() == "web:mounted"
    assert [credential.get_secret_value() for credential in read.service_credentials] == ["web:one", "cli:two"]


@pytest.mark.usefixtures("mounted")
def test_the_environment_goes_before_files_unless_it_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_CREDENTIAL", "web:given")
    monkeypatch.setenv("SERVICE_CREDENTIALS", "")
    read = read_settings(AllParts)
    assert read.service_credential.get_secret_value() == "web:given"
    assert len(read.service_credentials) == 2


@pytest.mark.usefixtures("mounted")
def test_a_folder_of_secrets_that_is_not_there_is_said(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(mounted)
    assert _refused(monkeypatch) == [f"SECRETS_DIR: {mounted} is no folder"]


def test_a_secret_whose_file_is_empty_or_no_text_is_named(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (mounted / "SERVICE_CREDENTIAL").write_text("\n")
    assert "  SERVICE_CREDENTIAL: " in "\n".join(_refused(monkeypatch))
    (mounted / "SERVICE_CREDENTIAL").write_bytes(b"\xff\xfe")
    (line,) = _refused(monkeypatch)
    assert line.startswith('SECRETS_DIR: error getting value for field "service_credential"')


def test_a_user_name_and_a_password_go_with_sasl(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "attendara"}
    assert "  KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD go with SASL_SSL" in _refused(monkeypatch, **given)


def test_files_that_are_no_certificates_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("hush-hush")
    lines = _refused(monkeypatch, AUTH_CA_FILE=str(tmp_path / "ca.pem"), KAFKA_CA_FILE=str(tmp_path / "ca.pem"))
    assert {f"  {name}: holds no certificate in PEM" for name in ("AUTH_CA_FILE", "KAFKA_CA_FILE")} <= set(lines)
    assert "hush-hush" not in str(lines)


def test_a_key_that_is_another_certificates_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = trustme.CA()
    one, other = authority.issue_cert("one"), authority.issue_cert("other")
    one.cert_chain_pems[0].write_to_path(str(tmp_path / "one.crt"))
    for issued, name in ((one, "one.key"), (other, "other.key")):
        issued.private_key_pem.write_to_path(str(tmp_path / name))
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("KAFKA_CLIENT_CERTIFICATE", str(tmp_path / "one.crt"))
    monkeypatch.setenv("KAFKA_CLIENT_KEY", str(tmp_path / "one.key"))
    assert read_settings(BrokerSettings).kafka_tls()
    assert any(
        line.startswith("  KAFKA_CLIENT_CERTIFICATE and KAFKA_CLIENT_KEY are not")
        for line in _refused(monkeypatch, KAFKA_CLIENT_KEY=str(tmp_path / "other.key"))
    )
