"""What the doors of the identity platform share: where they stand, how they answer, the pages that several of them show."""

from uuid import UUID

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from outlook_sandbox.accounts import Account
from outlook_sandbox.html import page
from outlook_sandbox.identity.apps import App
from outlook_sandbox.identity.authorize import Destination
from outlook_sandbox.identity.errors import Refused
from outlook_sandbox.settings import Settings
from outlook_sandbox.state import Sandbox, sandbox_of

MOST_SHOWN = 20
"""Accounts on the picker; others are found by searching."""


def bases(settings: Settings) -> tuple[str, str]:
    """The http address, for what a browser meets, and the https one, for what MSAL meets."""
    return f"http://localhost:{settings.http_port}", f"https://{settings.name}:{settings.https_port}"


def refusal(request: Request, refused: Refused, status: int | None = None) -> Response:
    """A refusal to a program; it carries the id that the program gave its request."""
    sandbox = sandbox_of(request)
    given = request.headers.get("client-request-id", "")
    body = refused.body(sandbox.clock.now(), bases(sandbox.settings)[1], given if _is_guid(given) else None)
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache", "x-ms-request-id": body["trace_id"]}
    return JSONResponse(body, status or refused.status, headers)


def error_page(sandbox: Sandbox, refused: Refused) -> HTMLResponse:
    """A refusal to a person."""
    body = refused.body(sandbox.clock.now(), bases(sandbox.settings)[1])
    return page("identity/error.html", status=refused.status, refused=refused, body=body)


def answer(destination: Destination, values: dict[str, str]) -> Response:
    """Back to the app."""
    if destination.response_mode == "form_post":
        sent = destination.answer(values)
        return page("identity/form_post.html", address=destination.redirect_uri, values=sent, forms_lead_to=[destination.origin])
    return RedirectResponse(destination.address(values), 302, {"Cache-Control": "no-store"})


def told(sandbox: Sandbox, destination: Destination, refused: Refused, **more: str) -> Response:
    """A refusal to the app, by redirect."""
    return answer(destination, refused.redirected(sandbox.clock.now(), bases(sandbox.settings)[1]) | more)


def account_page(request: Request, app: App, accounts: list[Account], destination: Destination) -> Response:
    """Pick an account: those used last come first, the hinted one before them; with many, one can search."""
    find, hint = request.query_params.get("find", "").strip(), request.query_params.get("login_hint", "").casefold()
    words = find.casefold().split()
    found = [one for one in accounts if all(word in f"{one.name} {one.username}".casefold() for word in words)]
    found.sort(key=lambda account: account.username.casefold() != hint)
    return page(
        "identity/pick.html",
        app=app,
        accounts=found[:MOST_SHOWN],
        more=len(found[MOST_SHOWN:]),
        find=find,
        searchable=len(accounts) > MOST_SHOWN,
        kept=[(name, value) for name, value in request.query_params.multi_items() if name != "find"],
        forms_lead_to=[destination.origin],
    )


def _is_guid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
