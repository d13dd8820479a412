"""What the command reads from its environment: the broker, and the services' internal doors."""

from pydantic import SecretStr

from common.settings import AuthClientSettings, BrokerSettings, WebAddress


class Settings(BrokerSettings, AuthClientSettings):
    settings_web_url: WebAddress = "http://localhost:8400"
    """Settings-web's internal address."""
    sync_worker_url: WebAddress = "http://localhost:8403"
    """Sync-worker's internal address."""
    service_credential: SecretStr = SecretStr("")
    """What the command shows at the services' internal doors, `<name>:<secret>`; `topics` needs none."""
