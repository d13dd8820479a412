"""A stand-in for auth as settings-web meets it: flows bound to who began them, connections in the store, tokens of the sandbox."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from common.ids import new_id
from common.store import Database
from outlook_sandbox.accounts import Account
from outlook_sandbox.state import Sandbox

APP = "5a9d2c1e-7b40-4c7e-9d53-2f6f0b8f6a11"
SCOPES = frozenset({"User.Read", "Calendars.ReadWrite", "MailboxSettings.ReadWrite"})
APPROVE = "https://login.example/organizations/v2.0/adminconsent?client_id=c&scope=a+b"
BOUND = ("organization", "user", "session", "binding")


@dataclass
class AuthService:
    """Whoever accepts is `account`. `down`: answers 503 to everything; `ending`: how the next finished connects end."""

    database: Database
    sandbox: Sandbox
    account: Account
    down: bool = False
    ending: str = "accepted"
    flows: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)
    """What Microsoft's redirects brought, as settings-web passed it on."""
    histories: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    wishes: list[tuple[str, str, str]] = field(default_factory=list)
    """Who wished what: connection, `rename` or `remove`, user."""

    @property
    def app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)
        app.post("/internal/v1/connects", status_code=201)(self.begin)
        app.post("/internal/v1/connects/finish")(self.finish)
        app.post("/internal/v1/connections/{connection}/token")(self.token)
        app.get("/internal/v1/connections/{connection}/admin-consent")(self.admin_consent)
        app.get("/internal/v1/connections/{connection}/history")(self.history)
        app.patch("/internal/v1/connections/{connection}")(self.rename)
        app.delete("/internal/v1/connections/{connection}", status_code=202)(self.remove)

        @app.middleware("http")
        async def _up(request: Request, go_on: Any) -> Any:
            return JSONResponse({"title": "unavailable"}, 503) if self.down else await go_on(request)

        return app

    async def begin(self, flow: dict[str, Any]) -> dict[str, str]:
        state = secrets.token_urlsafe(8)
        self.flows[state] = flow
        return {"flow": state, "authorize_url": f"https://login.example/authorize?state={state}&scope=a+b"}

    async def finish(self, answer: dict[str, Any]) -> Any:
        if any(len(value) > 8000 for value in answer["query"].values()):
            return JSONResponse({"title": "invalid", "detail": "body.query.code: String should have at most 8000 characters"}, 422)
        self.told.append(answer["query"])
        flow = self.flows.pop(answer["query"].get("state", ""), None)
        ending = "expired" if flow is None else self.ending
        if flow and any(flow[name] != answer[name] for name in BOUND):
            ending = "mismatch"
        sentences = {"message": f"It ended: {ending}.", "next_step": "Do something next."}
        if flow is None or ending != "accepted":
            link = APPROVE if ending == "admin-consent-needed" else None
            known = {"connection": flow["connection"], "return_to": flow["return_to"]} if flow and ending != "mismatch" else {}
            return {"outcome": ending, "admin_consent_url": link} | sentences | known
        known_account = await self.database.connections.find_one(
            {"organization": flow["organization"], "oid": self.account.id, "state": {"$ne": "removed"}}
        )
        existing = flow["connection"] or (known_account and known_account["_id"])
        connection = existing or await self.connect(flow["organization"])
        outcome = {"outcome": ending, "connection": connection, "existing": bool(existing)}
        return outcome | {"message": "It is connected.", "return_to": flow["return_to"]}

    async def admin_consent(self, connection: str, organization: str) -> dict[str, str]:
        return {"url": f"{APPROVE}&of={connection}"}

    async def history(self, connection: str, organization: str) -> list[dict[str, Any]]:
        return self.histories.get(connection, [])

    async def connect(self, organization: str, name: str | None = None, state: str = "active", **fields: Any) -> str:
        """A connection of `account`, as auth writes it; returns its id."""
        connection, now = new_id("con"), datetime.now(UTC)
        document = {"_id": connection, "organization": organization, "tid": self.account.tid, "oid": self.account.id}
        document |= {"username": self.account.username, "name": name or self.account.username, "state": state}
        await self.database.connections.insert_one(document | {"since": now, "created_at": now} | fields)
        return connection

    async def token(self, connection: str) -> JSONResponse:
        found = await self.database.connections.find_one({"_id": connection})
        if found is None or found["state"] != "active":
            return JSONResponse({"title": "needs-reconnect", "detail": "gone"}, 409)
        token = self.sandbox.tokens.issue(found["oid"], APP, SCOPES).access_token
        return JSONResponse({"access_token": token, "expires_at": "2099-01-01T00:00:00Z"})

    async def rename(self, connection: str, wish: dict[str, str]) -> dict[str, str]:
        self.wishes.append((connection, "rename", wish["user"]))
        await self.database.connections.update_one({"_id": connection}, {"$set": {"name": wish["name"]}})
        return {"id": connection, "name": wish["name"]}

    async def remove(self, connection: str, user: str) -> dict[str, str]:
        self.wishes.append((connection, "remove", user))
        await self.set_state(connection, "removing")
        return {"state": "removing"}

    async def set_state(self, connection: str, state: str) -> None:
        await self.database.connections.update_one({"_id": connection}, {"$set": {"state": state}})
