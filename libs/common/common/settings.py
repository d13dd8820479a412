"""What services read from their environment, in parts that each service's own settings class puts together.

Every mistake is named at once when a service starts (pydantic's ValidationError lists them all).
"""

import ssl
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, FilePath, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def comma_separated(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


SecretList = Annotated[list[SecretStr], NoDecode, BeforeValidator(comma_separated)]


def _named(credentials: list[SecretStr]) -> list[SecretStr]:
    """What stands in front of the colon is written to the log: it must not be a secret."""
    for credential in credentials:
        name, _, secret = credential.get_secret_value().partition(":")
        if not name or not secret:
            raise ValueError("each credential is <name>:<secret>")
    return credentials


class Part(BaseSettings):
    """Any part. All must be configured alike: where parts are put together, the last one's configuration wins."""

    # A value that is refused may be a secret: the error names the variable and leaves its value out.
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)


class ServiceSettings(Part):
    """What all services have: the broker, and how they log."""

    kafka_bootstrap_servers: str = "localhost:9092"
    kafka_idempotence: bool = True
    kafka_session_timeout_ms: int = 10_000
    kafka_heartbeat_interval_ms: int = 3_000
    kafka_fetch_max_wait_ms: int = 500
    log_format: Literal["json", "text"] = "json"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class StoreSettings(Part):
    """MongoDB: a replica set (one node is enough), for transactions and majority writes."""

    mongodb_url: str = "mongodb://localhost:27017/?replicaSet=rs0"
    mongodb_database: str = "attendara"


class RedisSettings(Part):
    redis_url: str = "redis://localhost:6379/0"


class DoorSettings(Part):
    """Who may use this service's internal doors: `<name>:<secret>`, several valid at once, also of one name."""

    service_credentials: Annotated[SecretList, AfterValidator(_named)] = Field(min_length=1)


class AuthClientSettings(Part):
    """Where auth's internal door is, and what we show there. `auth_ca_file`: the authority that signed its certificate."""

    auth_url: str = "http://localhost:8402"
    auth_ca_file: FilePath | None = None
    service_credential: SecretStr

    def auth_trust(self) -> ssl.SSLContext | bool:
        """Whose certificate auth may show: for a client's `verify`."""
        return ssl.create_default_context(cafile=str(self.auth_ca_file)) if self.auth_ca_file else True


class GraphSettings(Part):
    graph_url: str = "https://graph.microsoft.com/v1.0"
