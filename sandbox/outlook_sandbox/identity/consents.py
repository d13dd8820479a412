"""Which scopes each account has allowed each app, so that the consent page comes once."""

from outlook_sandbox.database import Database

CONSENT = "consent"


class Consents:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._given = {key: frozenset(document["scopes"]) for key, document in database.load(CONSENT).items()}

    def of(self, account: str, app: str) -> frozenset[str]:
        return self._given.get(_key(account, app), frozenset())

    def add(self, account: str, app: str, scopes: frozenset[str]) -> None:
        key = _key(account, app)
        self._given[key] = self.of(account, app) | scopes
        self._database.put(CONSENT, key, {"scopes": sorted(self._given[key])})

    def clear(self) -> None:
        for key in self._given:
            self._database.delete(CONSENT, key)
        self._given.clear()


def _key(account: str, app: str) -> str:
    return f"{account} {app}"
