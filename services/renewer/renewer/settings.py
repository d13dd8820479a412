"""What the renewer reads from its environment."""

from pydantic import Field

from common.client_state import ClientStateSettings
from common.graph.client import GraphClientSettings
from common.settings import ServiceSettings, StoreSettings, WebAddress


class Settings(GraphClientSettings, StoreSettings, ClientStateSettings, ServiceSettings):
    notification_url: WebAddress
    """The webhook gateway's public address, without a path: Graph posts to `/graph/notifications` and `/graph/lifecycle` there."""
    subscription_minutes: int = Field(default=10_000, ge=45, le=10_080)
    """Minutes that a subscription is asked for. Microsoft allows 10,070 at most."""
