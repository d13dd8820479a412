"""App registrations: the app of the settings, and others that a test registers."""

from datetime import datetime
from typing import Literal
from uuid import uuid4

import msgspec

from outlook_sandbox.accounts import PERSONAL_TENANT, Account
from outlook_sandbox.database import Database
from outlook_sandbox.identity.errors import Refused, missing
from outlook_sandbox.settings import Settings

KIND = "app"
OUTLOOK_APP = "00000002-0000-0ff1-ce00-000000000000"
"""The sandbox's own Outlook page, first-party: it is handed its tokens and never comes through these doors."""

SignInAudience = Literal["AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"]


class Secret(msgspec.Struct, frozen=True):
    value: str
    expires_at: datetime | None = None


class App(msgspec.Struct, frozen=True):
    """An app with its credentials: any of its secrets, or an assertion signed for any of its certificates (PEM).

    A public client has none and must send none. `tenant` is the home of an app with the audience AzureADMyOrg.
    """

    id: str
    name: str
    redirect_uris: frozenset[str] = frozenset()
    secrets: tuple[Secret, ...] = ()
    certificates: tuple[str, ...] = ()
    sign_in_audience: SignInAudience = "AzureADandPersonalMicrosoftAccount"
    tenant: str | None = None
    public: bool = False
    disabled: bool = False
    publisher: str = "attendara.example"

    def takes(self, account: Account) -> bool:
        """Whether accounts of this kind, and of this tenant, may sign in to the app."""
        match self.sign_in_audience:
            case "AzureADMyOrg":
                return account.tid == self.tenant
            case "AzureADMultipleOrgs":
                return account.kind == "work"
            case "PersonalMicrosoftAccount":
                return account.kind == "personal"
        return True

    def check_tenant(self, tenant: str) -> None:
        """Raises Refused if the app may not be used under the tenant (its canonical name), or at all."""
        if self.disabled:
            raise Refused(7000112, app=self.id, app_name=self.name)
        match self.sign_in_audience:
            case "AzureADMyOrg" if tenant in ("common", "organizations"):
                raise Refused(50194, app=self.id, app_name=self.name)
            case "AzureADMyOrg" | "AzureADMultipleOrgs" if tenant == PERSONAL_TENANT:
                raise Refused(9002332, app=self.id, app_name=self.name)
            case "AzureADMyOrg" if tenant != self.tenant:
                raise Refused(700016, app=self.id, tenant=tenant)
            case "PersonalMicrosoftAccount" if tenant != PERSONAL_TENANT:
                raise Refused(9002331, app=self.id, app_name=self.name)


def new_app(name: str, **known: object) -> App:
    """An app with a client id of its own; `known` are fields of App."""
    return msgspec.convert({"id": str(uuid4()), "name": name} | known, App)


class Apps:
    """The registered apps by client id, the settings' app first."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        secret = Secret(settings.client_secret.get_secret_value())
        self._own = App(settings.client_id, "Attendara", settings.microsoft_redirects, (secret,))
        stored = {identifier: msgspec.convert(document, App) for identifier, document in database.load(KIND).items()}
        self._apps = {self._own.id: self._own} | stored

    def all(self) -> list[App]:
        return list(self._apps.values())

    def get(self, client_id: str) -> App | None:
        return self._apps.get(client_id)

    def need(self, client_id: str | None, tenant: str) -> App:
        """The app of a request under a tenant. Raises Refused for one that is missing, unknown or not for this tenant."""
        if not client_id:
            raise missing("client_id")
        app = self._apps.get(client_id)
        if app is None:
            raise Refused(700016, app=client_id, tenant=tenant)
        app.check_tenant(tenant)
        return app

    def put(self, app: App) -> App:
        """Register an app, or change it: one with the same client id is replaced."""
        self._apps[app.id] = app
        self._database.put(KIND, app.id, app)
        return app

    def remove(self, client_id: str) -> bool:
        """Forget an app; the settings' app becomes again what the settings say."""
        self._database.delete(KIND, client_id)
        if client_id == self._own.id:
            self._apps[client_id] = self._own
            return True
        return self._apps.pop(client_id, None) is not None

    def clear(self) -> None:
        self._database.clear(KIND)
        self._apps = {self._own.id: self._own}
