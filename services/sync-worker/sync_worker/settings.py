"""What sync-worker reads from its environment."""

from datetime import timedelta

from pydantic import PositiveInt

from common.graph.client import GraphClientSettings
from common.settings import DoorSettings, ServiceSettings, StoreSettings


class Settings(ServiceSettings, StoreSettings, DoorSettings, GraphClientSettings):
    """`sync_window_*`: how far back and ahead appointments are kept; `private_details`: publish private events whole."""

    sync_window_past_days: PositiveInt = 30
    sync_window_future_days: PositiveInt = 365
    safety_round_minutes: PositiveInt = 15
    private_details: bool = False
    short_rounds_at_once: PositiveInt = 16
    long_rounds_at_once: PositiveInt = 4
    labels_at_once: PositiveInt = 16

    @property
    def window(self) -> tuple[timedelta, timedelta]:
        return timedelta(days=self.sync_window_past_days), timedelta(days=self.sync_window_future_days)
