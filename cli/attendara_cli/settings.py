"""What the command reads from its environment: the broker, and the services' internal doors."""

from pydantic import SecretStr

from common.settings import AuthClientSettings, ServiceSettings


class Settings(ServiceSettings, AuthClientSettings):
    settings_web_url: str = "http://localhost:8400"
    sync_worker_url: str = "http://localhost:8403"
    service_credential: SecretStr = SecretStr("")
