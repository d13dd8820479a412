"""What sync-worker reads from its environment."""

from datetime import timedelta

from pydantic import PositiveInt

from common.graph.client import GraphClientSettings
from common.settings import DoorSettings, ServiceSettings, StoreSettings


class Settings(ServiceSettings, StoreSettings, DoorSettings, GraphClientSettings):
    sync_window_past_days: PositiveInt = 30
    """How many days back events become appointments."""
    sync_window_future_days: PositiveInt = 365
    """How many days ahead events become appointments."""
    safety_round_minutes: PositiveInt = 15
    """Minutes after which a calendar is looked at even if no notification came, jittered."""
    private_details: bool = False
    """Keep and publish what Outlook marks private or confidential whole, rather than its times only."""
    short_rounds_at_once: PositiveInt = 16
    """How many calendars one process brings up to date at a time."""
    long_rounds_at_once: PositiveInt = 4
    """How many calendars one process goes through whole at a time: at first, nightly, and after Microsoft lost the link."""
    labels_at_once: PositiveInt = 16
    """How many labels one process writes at a time."""

    @property
    def window(self) -> tuple[timedelta, timedelta]:
        return timedelta(days=self.sync_window_past_days), timedelta(days=self.sync_window_future_days)
