"""A stand-in for auth's token door: tokens that the sandbox takes, or the refusals that auth would give."""

from dataclasses import dataclass, field

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from outlook_sandbox.client import SandboxControl

MICROSOFT_APP = "5a9d2c1e-7b40-4c7e-9d53-2f6f0b8f6a11"
SCOPES = ["User.Read", "Calendars.ReadWrite", "MailboxSettings.ReadWrite"]


@dataclass
class TokenDoor:
    """`accounts`: connection → the sandbox's account; `refusals`: connection → status and title of the problem."""

    sandbox: str
    accounts: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)
        app.post("/internal/v1/connections/{connection}/token")(self.token)
        return app

    async def token(self, connection: str) -> JSONResponse:
        if connection in self.refusals:
            status, title = self.refusals[connection]
            return JSONResponse({"title": title, "detail": title}, status, media_type="application/problem+json")
        if connection not in self.accounts:
            return JSONResponse({"title": "not-found"}, 404, media_type="application/problem+json")
        async with SandboxControl(self.sandbox) as sandbox:
            token = await sandbox.token(self.accounts[connection], MICROSOFT_APP, SCOPES)
        return JSONResponse({"access_token": token, "expires_at": "2099-01-01T00:00:00Z"})
