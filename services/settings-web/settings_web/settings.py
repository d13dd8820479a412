"""What settings-web reads from its environment."""

from urllib.parse import urlsplit

from pydantic import SecretStr

from common.graph.client import GraphClientSettings
from common.settings import DoorSettings, ServiceSettings, StoreSettings


class Settings(ServiceSettings, StoreSettings, GraphClientSettings, DoorSettings):
    """`public_url` is where browsers find us; `oidc_*` is Attendara's own sign-in, found by discovery at the issuer."""

    public_url: str = "http://localhost:8400"
    oidc_issuer: str
    oidc_client_id: str
    oidc_client_secret: SecretStr
    oidc_scope: str = "openid profile email"
    oidc_claim_organization: str = "org_id"
    oidc_claim_organization_name: str = "org_name"
    oidc_claim_roles: str = "roles"
    oidc_role_admin: str = "admin"
    oidc_role_member: str = "member"
    session_hours: int = 12

    @property
    def local(self) -> bool:
        return urlsplit(self.public_url).hostname in ("localhost", "127.0.0.1", "::1")

    def own(self, path: str) -> str:
        return self.public_url.rstrip("/") + path
