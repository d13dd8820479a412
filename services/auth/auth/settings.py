"""What auth is told by its environment."""

from typing import Annotated
from urllib.parse import urljoin

from pydantic import AfterValidator, Field, FilePath, PositiveInt, SecretStr

from auth.credentials import CredentialSettings
from auth.vault import make_vault
from common.settings import DoorSettings, GraphSettings, RedisSettings, SecretList, ServiceSettings, StoreSettings


def _usable(keys: list[SecretStr]) -> list[SecretStr]:
    make_vault(keys)
    return keys


class Settings(ServiceSettings, StoreSettings, RedisSettings, DoorSettings, GraphSettings, CredentialSettings):
    """`token_keys`: `<key id>:<base64 of 32 bytes>`, the first one active. `microsoft_ca_file`: for an authority of our own.

    `microsoft_category_scope`: ask to manage the mailbox's categories too, which gives labels their colours.
    `idle_refresh_days`: how long a connection that nobody uses rests; Microsoft lets it die after 90 days.
    """

    microsoft_authority: str = Field(default="https://login.microsoftonline.com/common", pattern=r"^https://[^/]+/[^/]+/?$")
    microsoft_client_id: str
    microsoft_redirect_uri: str = Field(pattern=r"^https?://")
    microsoft_admin_consent_redirect_uri: str | None = Field(default=None, pattern=r"^https?://")
    microsoft_category_scope: bool = True
    microsoft_ca_file: FilePath | None = None
    microsoft_sign_ins_at_once: PositiveInt = 16
    microsoft_refreshes_at_once: PositiveInt = 32
    idle_refresh_days: int = Field(default=30, ge=1, le=45)
    token_keys: Annotated[SecretList, AfterValidator(_usable)] = Field(min_length=1)

    @property
    def admin_return(self) -> str:
        """Where Microsoft sends an administrator after approving: beside the other return, unless said otherwise."""
        return self.microsoft_admin_consent_redirect_uri or urljoin(self.microsoft_redirect_uri, "admin-return")
