"""Tenants: which accounts may sign in under which address, and whether a tenant's people may consent to an app themselves."""

import re
from typing import Literal

import msgspec

from outlook_sandbox.accounts import PERSONAL_TENANT, Account, Accounts
from outlook_sandbox.database import Database
from outlook_sandbox.identity.errors import Refused

KIND = "tenant"
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FOR_ALL = ("common", "organizations")

UserConsent = Literal["allowed", "forbidden", "by-request"]


class Tenant(msgspec.Struct, frozen=True):
    """An organization. Where user consent is forbidden, people need an admin's (AADSTS90094); by request, they may ask for
    it on the way (AADSTS90095)."""

    id: str
    domain: str
    user_consent: UserConsent = "allowed"


class Tenants:
    """The tenants in which work accounts live. One that nobody configured has its first account's domain and allows consent."""

    def __init__(self, database: Database, accounts: Accounts) -> None:
        self._database = database
        self._accounts = accounts
        self._tenants = {identifier: msgspec.convert(document, Tenant) for identifier, document in database.load(KIND).items()}

    def all(self) -> list[Tenant]:
        lived_in = {identifier: Tenant(identifier, domain) for identifier, domain in self._accounts.tenants.items()}
        return list((lived_in | self._tenants).values())

    def get(self, identifier: str) -> Tenant | None:
        if identifier in self._tenants or identifier not in self._accounts.tenants:
            return self._tenants.get(identifier)
        return Tenant(identifier, self._accounts.tenants[identifier])

    def put(self, tenant: Tenant) -> Tenant:
        """Take a tenant in, or its new policy."""
        self._tenants[tenant.id] = tenant
        self._database.put(KIND, tenant.id, tenant)
        return tenant

    def clear(self) -> None:
        self._tenants.clear()
        self._database.clear(KIND)

    def canonical(self, name: str) -> str:
        """The tenant of an address: `common`, `organizations`, or a tenant's id, given as such or by its domain name.

        Raises Refused (AADSTS90002) for one that nobody lives in.
        """
        name = name.casefold()
        if name in ("consumers", PERSONAL_TENANT):
            return PERSONAL_TENANT
        if name in FOR_ALL or self.get(name):
            return name
        found = next((tenant.id for tenant in self.all() if tenant.domain == name), None)
        if found is None:
            raise Refused(90002, tenant=name)
        return found

    def consent_of(self, account: Account) -> UserConsent:
        """Whether the account may consent to an app for itself: an admin always may, and so may a personal account."""
        tenant = None if account.admin or account.kind == "personal" else self.get(account.tid)
        return tenant.user_consent if tenant else "allowed"


def belongs(account: Account, tenant: str) -> bool:
    """Whether the account may sign in under the tenant, given by its canonical name."""
    if tenant == "common":
        return True
    if tenant == "organizations":
        return account.kind == "work"
    return account.tid == tenant


def check_account(account: Account, tenant: str) -> None:
    """Raises Refused for an account of another tenant (AADSTS50020) and for a disabled one (AADSTS50057)."""
    if not belongs(account, tenant):
        raise Refused(50020, user=account.username, tenant=tenant)
    if account.disabled:
        raise Refused(50057)


def issuer(base: str, tenant: str) -> str:
    """The issuer as a tenant's metadata names it: a template wherever several tenants may sign in."""
    return f"{base}/{tenant if GUID.fullmatch(tenant) else '{tenantid}'}/v2.0"
