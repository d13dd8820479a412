"""What the sandbox is told by its environment (names start with SANDBOX_) and the local defaults."""

from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Kafka's names have no prefix: the sandbox shares them with the services."""

    model_config = SettingsConfigDict(
        env_prefix="SANDBOX_", frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    data: Path = Path(".data/sandbox")
    host: str = "127.0.0.1"
    name: str = Field(default="localhost", description="where programs find the sandbox; browsers always find it at localhost")
    http_port: int = Field(default=8410, ge=0, le=65_535)
    https_port: int = Field(default=8411, ge=0, le=65_535)
    allow_other_hosts: bool = False
    longest_view_days: int = Field(default=1825, ge=1, description="Graph's own limit; raise it to sync calendars of long ago")
    settle_seconds: float = Field(default=2, ge=0, description="when a new event changes once more by itself; 0: never")
    requests_per_10_minutes: int = Field(default=10_000, ge=1, description="Graph's own limit, of each app for each mailbox")
    latency_ms: int = Field(default=0, ge=0, description="time that each Graph request takes longer")

    client_id: str = "5a9d2c1e-7b40-4c7e-9d53-2f6f0b8f6a11"
    client_secret: SecretStr = SecretStr("sandbox-app-secret")
    redirect_uris: str = "http://localhost:8400/connect/microsoft/return"
    oidc_client_id: str = "attendara-settings"
    oidc_client_secret: SecretStr = SecretStr("sandbox-oidc-secret")
    oidc_redirect_uris: str = "http://localhost:8400/signin/return"

    kafka_bootstrap_servers: str | None = Field(default=None, validation_alias="KAFKA_BOOTSTRAP_SERVERS")
    kafka_session_timeout_ms: int = Field(default=10000, validation_alias="KAFKA_SESSION_TIMEOUT_MS")
    kafka_heartbeat_interval_ms: int = Field(default=3000, validation_alias="KAFKA_HEARTBEAT_INTERVAL_MS")
    kafka_fetch_max_wait_ms: int = Field(default=500, validation_alias="KAFKA_FETCH_MAX_WAIT_MS")

    @property
    def microsoft_redirects(self) -> frozenset[str]:
        return _listed(self.redirect_uris)

    @property
    def oidc_redirects(self) -> frozenset[str]:
        return _listed(self.oidc_redirect_uris)


def read_settings() -> Settings:
    """Raises SystemExit with one line for each mistake."""
    try:
        return Settings()
    except ValidationError as refused:
        lines = [_line(str(error["loc"][0]), error["msg"]) for error in refused.errors(include_input=False)]
        raise SystemExit("\n".join(["outlook-sandbox: the settings can't be used:", *lines])) from None


def _line(name: str, words: str) -> str:
    return f"  {name if name.isupper() else f'SANDBOX_{name.upper()}'}: {words.removeprefix('Input ')}"


def _listed(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())
