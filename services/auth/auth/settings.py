"""What auth is told by its environment."""

from typing import Annotated

from pydantic import AfterValidator, Field, FilePath, SecretStr

from auth.vault import make_vault
from common.settings import DoorSettings, GraphSettings, RedisSettings, SecretList, ServiceSettings, StoreSettings


def _usable(keys: list[SecretStr]) -> list[SecretStr]:
    make_vault(keys)
    return keys


class Settings(ServiceSettings, StoreSettings, RedisSettings, DoorSettings, GraphSettings):
    """`token_keys`: `<key id>:<base64 of 32 bytes>`, the first one active. `microsoft_ca_file`: for an authority of our own."""

    microsoft_authority: str = Field(default="https://login.microsoftonline.com/common", pattern="^https://")
    microsoft_client_id: str
    microsoft_client_secret: SecretStr
    microsoft_redirect_uri: str
    microsoft_ca_file: FilePath | None = None
    token_keys: Annotated[SecretList, AfterValidator(_usable)] = Field(min_length=1)
