"""What services read from their environment, in parts that each service's own settings class puts together.

The sentence under each setting stands in docs/configuration.md, which `make docs` writes. `read_settings` is what starts
a service: it names every mistake at once, and knows secrets that are mounted as files.
"""

import os
import re
import ssl
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, FilePath, PositiveInt, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError


def comma_separated(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def like(pattern: str, example: str) -> AfterValidator:
    """Refuses what doesn't match as a whole, with an example instead of the value, which may be a secret."""

    def check(value: str | SecretStr) -> str | SecretStr:
        if not re.fullmatch(pattern, value.get_secret_value() if isinstance(value, SecretStr) else value):
            raise ValueError(f"should be like {example}")
        return value

    return AfterValidator(check)


Text = Annotated[str, Field(min_length=1)]
Secret = Annotated[SecretStr, Field(min_length=1)]
SecretList = Annotated[list[SecretStr], NoDecode, BeforeValidator(comma_separated)]
WebAddress = Annotated[str, like(r"https?://[^/\s]+\S*", "https://host/path"), Field(json_schema_extra={"format": "uri"})]


def _named(credentials: list[SecretStr]) -> list[SecretStr]:
    """What stands in front of the colon is written to the log: it must not be a secret."""
    for credential in credentials:
        name, _, secret = credential.get_secret_value().partition(":")
        if not name or not secret:
            raise ValueError("each credential is <name>:<secret>")
    return credentials


def _of_certificates(file: Path) -> Path:
    try:
        ssl.create_default_context(cafile=file)
    except OSError:
        raise ValueError("holds no certificate in PEM") from None
    return file


CaFile = Annotated[FilePath, AfterValidator(_of_certificates)]


class Part(BaseSettings):
    """Any part. All must be configured alike: where parts are put together, the last one's configuration wins."""

    # A value that is refused may be a secret: the error names the variable and leaves its value out.
    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )


class BrokerSettings(Part):
    """Where Kafka is, and how we come in (`kafka_access.py`)."""

    kafka_bootstrap_servers: Annotated[str, like(r"[^\s,]+:\d+(,[^\s,]+:\d+)*", "host:9092,other:9092")] = "localhost:9092"
    """Some of Kafka's brokers, as `host:port` with commas; the others are found through them."""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How we speak to brokers: with `SSL` in the name by TLS, with `SASL` in the name by user name and password."""
    kafka_ca_file: CaFile | None = None
    """The authority (PEM) that signed the brokers' certificates, where it isn't a public one."""
    kafka_client_certificate: FilePath | None = None
    """The certificate (PEM) that we show by TLS, where brokers ask for one."""
    kafka_client_key: FilePath | None = None
    """Its private key (PEM, without a password), unless it is in the same file."""
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """How user name and password are proved."""
    kafka_sasl_username: Text | None = None
    """Who we are for the brokers."""
    kafka_sasl_password: Secret | None = None
    """The password that goes with it."""

    @model_validator(mode="after")
    def _may_come_in(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL") and not (self.kafka_sasl_username and self.kafka_sasl_password):
            raise ValueError(f"KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD go with {self.kafka_security_protocol}")
        self.kafka_tls()
        return self

    def kafka_tls(self) -> ssl.SSLContext | None:
        """Whose certificates brokers may show, and what we show; None without TLS. Raises ValueError for files that don't fit."""
        if not self.kafka_security_protocol.endswith("SSL"):
            return None
        context = ssl.create_default_context(cafile=self.kafka_ca_file)
        if self.kafka_client_certificate:
            try:
                context.load_cert_chain(self.kafka_client_certificate, self.kafka_client_key, password="")
            except OSError:
                words = "KAFKA_CLIENT_CERTIFICATE and KAFKA_CLIENT_KEY are not a certificate and its key, without a password"
                raise ValueError(words) from None
        return context


class ServiceSettings(BrokerSettings):
    """What all services have: the broker, and how they log."""

    kafka_idempotence: bool = True
    """Publish with Kafka's idempotent producer, so that a retry writes nothing twice. Off only for a broker that can't."""
    kafka_session_timeout_ms: PositiveInt = 10_000
    """Milliseconds without a heartbeat after which Kafka gives a consumer's partitions to others."""
    kafka_heartbeat_interval_ms: PositiveInt = 3_000
    """Milliseconds between a consumer's heartbeats; a third of the session timeout or less."""
    kafka_fetch_max_wait_ms: PositiveInt = 500
    """Milliseconds that the broker may hold a consumer's request while there is nothing to read."""
    log_format: Literal["json", "text"] = "json"
    """How logs stand on standard error: one JSON object a line, or text for people."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least severe entries that are logged."""

    @model_validator(mode="after")
    def _heartbeats_in_time(self) -> Self:
        if self.kafka_heartbeat_interval_ms >= self.kafka_session_timeout_ms:
            raise ValueError("KAFKA_HEARTBEAT_INTERVAL_MS must be less than KAFKA_SESSION_TIMEOUT_MS")
        return self


class StoreSettings(Part):
    """MongoDB: a replica set (one node is enough), for transactions and majority writes."""

    mongodb_url: Annotated[SecretStr, like(r"mongodb(\+srv)?://\S+", "mongodb://user:password@host:27017/?replicaSet=rs0")] = (
        SecretStr("mongodb://localhost:27017/?replicaSet=rs0")
    )
    """MongoDB's connection string: a replica set; TLS and credentials are options in it."""
    mongodb_database: Text = "attendara"
    """The database in which all collections lie; the same for all services."""


class RedisSettings(Part):
    redis_url: Annotated[SecretStr, like(r"(rediss?|unix)://\S+", "rediss://user:password@host:6379/0")] = SecretStr(
        "redis://localhost:6379/0"
    )
    """Redis, for what may be lost: sign-ins in progress, sessions, the gate of each mailbox. `rediss://` is TLS."""


class DoorSettings(Part):
    """Who may use this service's internal doors."""

    service_credentials: Annotated[SecretList, AfterValidator(_named)] = Field(min_length=1)
    """Who may use this service's internal doors: `<name>:<secret>` with commas; several of one name while one is changed."""


class AuthClientSettings(Part):
    """Where auth's internal door is, and what we show there."""

    auth_url: WebAddress = "http://localhost:8402"
    """Auth's internal address."""
    auth_ca_file: CaFile | None = None
    """The authority (PEM) that signed auth's certificate, where it isn't a public one."""
    service_credential: Secret
    """What this service shows at the internal doors of others: one of their SERVICE_CREDENTIALS, `<name>:<secret>`."""

    def auth_trust(self) -> ssl.SSLContext | bool:
        """Whose certificate auth may show: for a client's `verify`."""
        return ssl.create_default_context(cafile=self.auth_ca_file) if self.auth_ca_file else True


class GraphSettings(Part):
    graph_url: WebAddress = "https://graph.microsoft.com/v1.0"
    """Microsoft Graph with its version; national clouds have their own (docs/microsoft.md)."""


AnySettings = TypeVar("AnySettings", bound=Part)


def read_settings(kind: type[AnySettings]) -> AnySettings:
    """From the environment, and from the files of the folder that SECRETS_DIR names, which the environment goes before.

    Raises SystemExit with one line for each mistake.
    """
    folder = os.environ.get("SECRETS_DIR") or None
    try:
        if folder and not Path(folder).is_dir():
            raise SystemExit(f"SECRETS_DIR: {folder} is no folder")
        return kind(_secrets_dir=folder)
    except ValidationError as refused:
        # While any setting is wrong, no rule about several of them is looked at: so each part is read by itself as well.
        parts = [part for part in kind.mro()[1:] if issubclass(part, Part)]
        broken = [error for part in parts for error in _errors(part, folder) if not error["loc"]]
        lines = dict.fromkeys(_line(error) for error in refused.errors(include_input=False) + broken)
        raise SystemExit("\n".join(["The settings can't be used:", *lines])) from None
    except SettingsError as error:
        raise SystemExit(f"SECRETS_DIR: {error}: {error.__cause__}") from None


def _errors(part: type[Part], folder: str | None) -> list[ErrorDetails]:
    try:
        part(_secrets_dir=folder)
    except ValidationError as refused:
        return refused.errors(include_input=False)
    return []


def _line(error: ErrorDetails) -> str:
    """With the variable in front, unless the words name it."""
    variable = f"{error['loc'][0]}: ".upper() if error["loc"] else ""
    words = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"  {variable}{'is missing' if error['type'] == 'missing' else words}"
