"""What auth is told by its environment."""

from typing import Annotated
from urllib.parse import urljoin

from pydantic import AfterValidator, Field, PositiveInt, SecretStr

from auth.credentials import CredentialSettings
from auth.vault import make_vault
from common.settings import (
    CaFile,
    DoorSettings,
    GraphSettings,
    RedisSettings,
    SecretList,
    ServiceSettings,
    StoreSettings,
    Text,
    WebAddress,
    like,
)


def _usable(keys: list[SecretStr]) -> list[SecretStr]:
    make_vault(keys)
    return keys


class Settings(ServiceSettings, StoreSettings, RedisSettings, DoorSettings, GraphSettings, CredentialSettings):
    microsoft_authority: Annotated[str, like(r"https://[^/\s]+/[^/\s]+/?", "https://login.microsoftonline.com/common")] = (
        "https://login.microsoftonline.com/common"
    )
    """Microsoft's sign-in and the accounts that may use it: `…/common`, `…/organizations`, `…/consumers` or `…/<tenant id>`."""
    microsoft_client_id: Text
    """The application (client) id of the app registration."""
    microsoft_redirect_uri: WebAddress
    """Where Microsoft sends browsers back: settings-web's `/connect/microsoft/return`, exactly as registered."""
    microsoft_admin_consent_redirect_uri: WebAddress | None = None
    """Where Microsoft sends an administrator after approving; unless given, `admin-return` beside MICROSOFT_REDIRECT_URI."""
    microsoft_category_scope: bool = True
    """Ask for `MailboxSettings.ReadWrite` too, which gives labels their colours."""
    microsoft_ca_file: CaFile | None = None
    """The authority (PEM) that signed the certificate of MICROSOFT_AUTHORITY, where it isn't a public one."""
    microsoft_sign_ins_at_once: PositiveInt = 16
    """How many codes and consents one process takes to Microsoft at a time."""
    microsoft_refreshes_at_once: PositiveInt = 32
    """How many tokens one process refreshes at a time."""
    idle_refresh_days: int = Field(default=30, ge=1, le=45)
    """Days after which a connection that nobody uses is refreshed; Microsoft lets it die after 90."""
    token_keys: Annotated[SecretList, AfterValidator(_usable)] = Field(min_length=1)
    """The keys that wrap what encrypts tokens: `<key id>:<base64 of 32 bytes>` with commas, the active one first."""

    @property
    def admin_return(self) -> str:
        """Where Microsoft sends an administrator after approving: beside the other return, unless said otherwise."""
        return self.microsoft_admin_consent_redirect_uri or urljoin(self.microsoft_redirect_uri, "admin-return")
