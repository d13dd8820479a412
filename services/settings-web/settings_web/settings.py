"""What settings-web reads from its environment."""

from urllib.parse import urlsplit

from pydantic import PositiveInt

from common.graph.client import GraphClientSettings
from common.settings import DoorSettings, Secret, ServiceSettings, StoreSettings, Text, WebAddress


class Settings(ServiceSettings, StoreSettings, GraphClientSettings, DoorSettings):
    public_url: WebAddress = "http://localhost:8400"
    """Where browsers find the pages. Cookies are for https only unless this is localhost."""
    oidc_issuer: WebAddress
    """Who signs Attendara's own users in (OpenID Connect): all else is found at `/.well-known/openid-configuration` under it."""
    oidc_client_id: Text
    """The id under which that provider knows settings-web; its redirect address is PUBLIC_URL with `/signin/return`."""
    oidc_client_secret: Secret
    """The secret that goes with it."""
    oidc_scope: Text = "openid profile email"
    """What is asked for at sign-in, with spaces."""
    oidc_claim_organization: Text = "org_id"
    """The claim that holds the organization's id."""
    oidc_claim_organization_name: Text = "org_name"
    """The claim that holds its name, as the pages show it."""
    oidc_claim_roles: Text = "roles"
    """The claim that holds the user's roles."""
    oidc_role_admin: Text = "admin"
    """The role that may change things."""
    oidc_role_member: Text = "member"
    """The role that may look."""
    session_hours: PositiveInt = 12
    """Hours after which a user signs in again."""

    @property
    def local(self) -> bool:
        return urlsplit(self.public_url).hostname in ("localhost", "127.0.0.1", "::1")

    def own(self, path: str) -> str:
        return self.public_url.rstrip("/") + path
