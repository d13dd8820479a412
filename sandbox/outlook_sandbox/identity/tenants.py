"""Which accounts may sign in under which tenant of the address: everyone, work, personal, or one tenant only."""

import re

from outlook_sandbox.accounts import PERSONAL_TENANT, Account
from outlook_sandbox.identity.errors import Refused

GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def check_tenant(tenant: str, accounts: list[Account]) -> str:
    """The tenant by its canonical name. Raises Refused (AADSTS90002) for one that nobody lives in."""
    name = tenant.lower()
    if name == "consumers":
        return PERSONAL_TENANT
    if name in {"common", "organizations", PERSONAL_TENANT} or name in {account.tid for account in accounts}:
        return name
    raise Refused(90002, f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID.")


def belongs(account: Account, tenant: str) -> bool:
    """Whether the account may sign in under the tenant, given by its canonical name."""
    if tenant == "common":
        return True
    if tenant == "organizations":
        return account.kind == "work"
    return account.tid == tenant


def check_account(account: Account, tenant: str) -> None:
    if not belongs(account, tenant):
        raise Refused(50020, f"User account '{account.username}' does not exist in tenant '{tenant}' and can't be used there.")


def issuer(base: str, tenant: str) -> str:
    """The issuer as a tenant's metadata names it: a template wherever several tenants may sign in."""
    return f"{base}/{tenant if GUID.fullmatch(tenant) else '{tenantid}'}/v2.0"
