"""An admin's consent for a whole tenant: the address that apps send an administrator to."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from outlook_sandbox.accounts import PERSONAL_TENANT
from outlook_sandbox.html import page, read_form
from outlook_sandbox.identity.apps import App
from outlook_sandbox.identity.authorize import Destination, read_destination
from outlook_sandbox.identity.errors import Refused
from outlook_sandbox.identity.scopes import DEFAULT, consent_lines, full_names, read_scopes
from outlook_sandbox.identity.tenants import belongs, check_account
from outlook_sandbox.identity.web import account_page, answer, error_page, told
from outlook_sandbox.journaling import note
from outlook_sandbox.state import Sandbox, sandbox_of

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Visit:
    """One request for an admin's consent, checked as far as its destination; `scope` is None at the older address."""

    sandbox: Sandbox
    tenant: str
    app: App
    destination: Destination
    scope: str | None

    def told(self, code: int, **more: str) -> Response:
        refused = Refused(code, app_name=self.app.name)
        return told(self.sandbox, self.destination, refused, admin_consent="True", **more)


@router.get("/{tenant}/v2.0/adminconsent")
async def ask(tenant: str, request: Request) -> Response:
    return _visit(tenant, request, {}, request.query_params.get("scope", ""))


@router.post("/{tenant}/v2.0/adminconsent")
async def continue_asking(tenant: str, request: Request) -> Response:
    return _visit(tenant, request, await read_form(request), request.query_params.get("scope", ""))


@router.get("/{tenant}/adminconsent")
async def ask_for_all(tenant: str, request: Request) -> Response:
    """The older address: consent to everything that the app is registered for."""
    return _visit(tenant, request, {}, None)


@router.post("/{tenant}/adminconsent")
async def continue_asking_for_all(tenant: str, request: Request) -> Response:
    return _visit(tenant, request, await read_form(request), None)


def admin_consent_address(tenant: str, app: App, scopes: frozenset[str], destination: Destination) -> str:
    """Where an admin of the tenant consents to what somebody asked for."""
    wanted = {"client_id": app.id, "scope": full_names(scopes), "redirect_uri": destination.redirect_uri}
    return f"/{tenant}/v2.0/adminconsent?{urlencode(wanted)}"


def _visit(tenant: str, request: Request, form: dict[str, str], scope: str | None) -> Response:
    sandbox, params = sandbox_of(request), dict(request.query_params)
    try:
        name = sandbox.tenants.canonical(tenant)
        if name in ("common", PERSONAL_TENANT):
            raise Refused(90019)
        app = sandbox.apps.need(params.get("client_id"), name)
        note(request.scope, app=app.id)
        destination = read_destination(params | {"response_mode": "query"}, app)
    except Refused as refused:
        return error_page(sandbox, refused)
    try:
        return _step(Visit(sandbox, name, app, destination, scope), request, form)
    except Refused as refused:
        if refused.meaning.on_page:
            return error_page(sandbox, refused)
        return told(sandbox, destination, refused, admin_consent="True")


def _step(visit: Visit, request: Request, form: dict[str, str]) -> Response:
    scopes = read_scopes(DEFAULT if visit.scope is None else visit.scope)
    account = visit.sandbox.accounts.get(form.get("account", ""))
    if form.get("answer") == "cancel":
        return visit.told(65004, error="consent_required")
    if account is None:
        listed = visit.sandbox.accounts.last_used_first()
        accounts = [one for one in listed if belongs(one, visit.tenant) and visit.app.takes(one)]
        return account_page(request, visit.app, accounts, visit.destination)
    note(request.scope, account=account.id)
    check_account(account, visit.tenant)
    shown: dict[str, Any] = {"app": visit.app, "account": account, "forms_lead_to": [visit.destination.origin]}
    if not account.admin:
        if form.get("answer") == "return":
            return visit.told(90094)
        refused = Refused(90094, app_name=visit.app.name)
        return page("identity/admin_needed.html", refused=refused, **shown)
    if form.get("answer") != "accept":
        return page("identity/consent.html", permissions=consent_lines(scopes), for_organization=True, **shown)
    visit.sandbox.tokens.consents.add(account.tid, visit.app.id, scopes)
    granted = {"scope": full_names(scopes)} if visit.scope is not None else {}
    return answer(visit.destination, {"admin_consent": "True", "tenant": account.tid} | granted)
