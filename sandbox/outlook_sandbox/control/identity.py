"""The identity platform from behind: tenants and their policy, apps, consents, grants that end, challenges."""

from typing import Annotated

import msgspec
from cryptography import x509
from fastapi import APIRouter, HTTPException, Path

from outlook_sandbox.accounts import PERSONAL_TENANT
from outlook_sandbox.control.finding import TheAccount, TheSandbox
from outlook_sandbox.control.models import (
    AppSettings,
    AppShown,
    ConsentShown,
    Guid,
    Revocation,
    SecretShown,
    TenantPolicy,
    TenantShown,
)
from outlook_sandbox.control.problems import refusals
from outlook_sandbox.identity.apps import App, new_app
from outlook_sandbox.identity.tenants import Tenant
from outlook_sandbox.state import Sandbox

router = APIRouter(tags=["identity"])


@router.post("/accounts/{account}/revoke", status_code=204, responses=refusals(404))
async def revoke_grants(sandbox: TheSandbox, account: TheAccount, wanted: Revocation) -> None:
    """End the account's grants, for a reason."""
    if wanted.reason == "disabled":
        account = sandbox.accounts.add(msgspec.structs.replace(account, disabled=True))
    if wanted.reason == "password-change":
        sandbox.tokens.challenge(account.id)
    else:
        sandbox.tokens.revoke(account, at_once=wanted.at_once)
    sandbox.lifecycle.revoked(account.id, silently=wanted.reason == "password-change")


@router.post("/accounts/{account}/challenge", status_code=204, responses=refusals(404))
async def challenge_account(sandbox: TheSandbox, account: TheAccount) -> None:
    """From now on Graph answers the account's tokens with a claims challenge (CAE), those of clients that declared `cp1`."""
    sandbox.tokens.challenge(account.id)


@router.get("/accounts/{account}/consents", responses=refusals(404))
async def list_consents(sandbox: TheSandbox, account: TheAccount) -> list[ConsentShown]:
    """What the account itself has allowed which app; not what an admin has for all of its tenant."""
    given = [(app, sandbox.tokens.consents.of(account.id, app.id)) for app in sandbox.apps.all()]
    return [ConsentShown(app=app.id, name=app.name, scopes=sorted(scopes)) for app, scopes in given if scopes]


@router.delete("/accounts/{account}/consents/{app}", status_code=204, responses=refusals(404))
async def withdraw_consent(sandbox: TheSandbox, account: TheAccount, app: str) -> None:
    """The account no longer allows the app anything: refreshing ends in AADSTS65001."""
    _withdraw(sandbox, account.id, app)


@router.get("/tenants")
async def list_tenants(sandbox: TheSandbox) -> list[TenantShown]:
    """The organizations in which work accounts live."""
    return [_tenant(tenant) for tenant in sandbox.tenants.all()]


@router.put("/tenants/{tenant}", responses=refusals(404))
async def set_tenant_policy(sandbox: TheSandbox, tenant: Annotated[Guid, Path()], policy: TenantPolicy) -> TenantShown:
    """A tenant's policy; with a domain, a tenant in which nobody lives yet."""
    known = sandbox.tenants.get(tenant)
    domain = policy.domain or (known.domain if known else None)
    if domain is None or tenant == PERSONAL_TENANT:
        raise HTTPException(404, "There is no such tenant.")
    return _tenant(sandbox.tenants.put(Tenant(tenant, domain.casefold(), policy.user_consent)))


@router.delete("/tenants/{tenant}/consents/{app}", status_code=204, responses=refusals(404))
async def withdraw_tenant_consent(sandbox: TheSandbox, tenant: Annotated[Guid, Path()], app: str) -> None:
    """What an admin has allowed the app for everyone is allowed no more."""
    _withdraw(sandbox, tenant, app)


@router.get("/apps")
async def list_apps(sandbox: TheSandbox) -> list[AppShown]:
    """The app of the settings, and those that were registered."""
    return [_app(app) for app in sandbox.apps.all()]


@router.post("/apps", status_code=201)
async def register_app(sandbox: TheSandbox, wanted: AppSettings) -> AppShown:
    """A new app with a client id of its own."""
    return _app(sandbox.apps.put(_new(wanted)))


@router.get("/apps/{app}", responses=refusals(404))
async def get_app(sandbox: TheSandbox, app: str) -> AppShown:
    """One app."""
    found = sandbox.apps.get(app)
    if found is None:
        raise HTTPException(404, "There is no such app.")
    return _app(found)


@router.put("/apps/{app}")
async def set_app(sandbox: TheSandbox, app: Annotated[Guid, Path()], wanted: AppSettings) -> AppShown:
    """The app with this client id is as given, new or not."""
    return _app(sandbox.apps.put(msgspec.structs.replace(_new(wanted), id=app)))


@router.delete("/apps/{app}", status_code=204, responses=refusals(404))
async def remove_app(sandbox: TheSandbox, app: str) -> None:
    """Forget an app; the one of the settings becomes again as it was."""
    if not sandbox.apps.remove(app):
        raise HTTPException(404, "There is no such app.")


def _withdraw(sandbox: Sandbox, holder: str, app: str) -> None:
    if not sandbox.tokens.consents.withdraw(holder, app):
        raise HTTPException(404, "There is no such consent.")


def _new(wanted: AppSettings) -> App:
    """Raises HTTPException 422 for a certificate that is none."""
    for number, pem in enumerate(wanted.certificates):
        try:
            x509.load_pem_x509_certificate(pem.encode())
        except ValueError:
            raise HTTPException(422, f"body.certificates.{number}: This is not a certificate in PEM") from None
    return new_app(wanted.name, **wanted.model_dump(exclude={"name"}))


def _app(app: App) -> AppShown:
    secrets = [SecretShown(hint=secret.value[:3], expires_at=secret.expires_at) for secret in app.secrets]
    known = msgspec.structs.asdict(app) | {"redirect_uris": sorted(app.redirect_uris), "secrets": secrets}
    return AppShown(**known)


def _tenant(tenant: Tenant) -> TenantShown:
    return TenantShown.model_validate(tenant, from_attributes=True)
