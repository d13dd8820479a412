"""What the gateway reads from its environment."""

from typing import Self

from pydantic import Field, model_validator

from common.client_state import ClientStateSettings
from common.settings import ServiceSettings


class Settings(ClientStateSettings, ServiceSettings):
    post_largest_bytes: int = Field(4 * 1024 * 1024, ge=64 * 1024)
    """Bytes of one post. Graph states no maximum, and a genuine post that is refused for its size is lost."""
    post_read_seconds: float = Field(5.0, gt=0, le=60)
    """Seconds that a client has to send its post."""
    posts_in_flight: int = Field(1_000, ge=1)
    """Posts that wait for the broker at one time; more are answered 503 at once."""
    post_bytes_in_flight: int = Field(32 * 1024 * 1024, ge=64 * 1024)
    """Bytes of posts that are held at one time, half of them for posts of 64 KiB at most; more are answered 503 at once."""

    @model_validator(mode="after")
    def _largest_has_room(self) -> Self:
        if self.post_largest_bytes > self.post_bytes_in_flight:
            raise ValueError("POST_LARGEST_BYTES must not be more than POST_BYTES_IN_FLIGHT")
        return self
