"""Which scopes each account, or an admin for a whole tenant, has allowed each app, so that the consent page comes once."""

from outlook_sandbox.accounts import Account
from outlook_sandbox.database import Database

CONSENT = "consent"


class Consents:
    """Consent is held by who gave it: the id of an account or of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._given = {key: frozenset(document["scopes"]) for key, document in database.load(CONSENT).items()}

    def of(self, holder: str, app: str) -> frozenset[str]:
        return self._given.get(_key(holder, app), frozenset())

    def covering(self, account: Account, app: str) -> frozenset[str]:
        """What the account or its tenant has allowed the app."""
        return self.of(account.id, app) | self.of(account.tid, app)

    def add(self, holder: str, app: str, scopes: frozenset[str]) -> None:
        key = _key(holder, app)
        self._given[key] = self.of(holder, app) | scopes
        self._database.put(CONSENT, key, {"scopes": sorted(self._given[key])})

    def withdraw(self, holder: str, app: str) -> bool:
        """Whether there was any; from now on refreshing is answered with AADSTS65001."""
        self._database.delete(CONSENT, _key(holder, app))
        return self._given.pop(_key(holder, app), None) is not None

    def forget(self, holder: str) -> None:
        for key in [key for key in self._given if key.startswith(f"{holder} ")]:
            self.withdraw(*key.split(" ", 1))

    def clear(self) -> None:
        self._given.clear()
        self._database.clear(CONSENT)


def _key(holder: str, app: str) -> str:
    return f"{holder} {app}"
