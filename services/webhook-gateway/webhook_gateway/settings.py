"""What the gateway reads from its environment."""

from common.client_state import ClientStateSettings
from common.settings import ServiceSettings


class Settings(ClientStateSettings, ServiceSettings):
    pass
