"""What the renewer reads from its environment."""

from pydantic import Field

from common.client_state import ClientStateSettings
from common.graph.client import GraphClientSettings
from common.settings import ServiceSettings, StoreSettings


class Settings(GraphClientSettings, StoreSettings, ClientStateSettings, ServiceSettings):
    """`notification_url`: the gateway's public base; Graph must reach it. Microsoft allows 10,070 minutes at most."""

    notification_url: str = Field(pattern=r"^https?://")
    subscription_minutes: int = Field(default=10_000, ge=45, le=10_080)
