"""Signing in: pick an account, consent, and go back to the app with a code or the reason why there is none."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from outlook_sandbox.accounts import Account
from outlook_sandbox.faults import AuthorizeError
from outlook_sandbox.html import page, read_form
from outlook_sandbox.identity.admin_consent import admin_consent_address
from outlook_sandbox.identity.apps import App
from outlook_sandbox.identity.authorize import Destination, Wish, agreed, check_scopes_for, read_destination, read_wish
from outlook_sandbox.identity.errors import Refused
from outlook_sandbox.identity.scopes import consent_lines
from outlook_sandbox.identity.tenants import belongs, check_account
from outlook_sandbox.identity.web import account_page, answer, error_page, told
from outlook_sandbox.journaling import note
from outlook_sandbox.state import Sandbox, sandbox_of

SIGNED_IN = "sandbox_signed_in"
CANCELLED = {"error": "access_denied", "error_description": "the user canceled the authentication"}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Visit:
    """One authorization request at the sign-in pages, checked as far as its destination and wishes."""

    sandbox: Sandbox
    tenant: str
    app: App
    destination: Destination
    wish: Wish

    def code_for(self, account: Account) -> dict[str, str]:
        code = agreed(account, self.app, self.tenant, self.destination, self.wish)
        return {"code": self.sandbox.tokens.codes.give(code, self.sandbox.clock.now())}

    def has_consent(self, account: Account) -> bool:
        return self.wish.scopes <= self.sandbox.tokens.consents.covering(account, self.app.id)

    def refused(self, code: int, account: Account) -> Refused:
        return Refused(code, app=self.app.id, app_name=self.app.name, user=account.username, tenant=account.tid)


@router.get("/{tenant}/oauth2/v2.0/authorize")
async def authorize(tenant: str, request: Request) -> Response:
    return _visit(tenant, request, {})


@router.post("/{tenant}/oauth2/v2.0/authorize")
async def continue_authorize(tenant: str, request: Request) -> Response:
    return _visit(tenant, request, await read_form(request))


def _visit(tenant: str, request: Request, form: dict[str, str]) -> Response:
    """Every step of signing in has the same address; what is posted says how far it has come."""
    sandbox, params = sandbox_of(request), dict(request.query_params)
    try:
        name = sandbox.tenants.canonical(tenant)
        app = sandbox.apps.need(params.get("client_id"), name)
        note(request.scope, app=app.id)
        destination = read_destination(params, app)
    except Refused as refused:
        return error_page(sandbox, refused)
    silent = False
    try:
        visit = Visit(sandbox, name, app, destination, read_wish(params))
        silent = visit.wish.prompt == "none"
        return _silently(visit, request) if silent else _step(visit, request, form)
    except Refused as refused:
        if refused.meaning.on_page and not silent:
            return error_page(sandbox, refused)
        return told(sandbox, destination, refused)


def _silently(visit: Visit, request: Request) -> Response:
    account = visit.sandbox.accounts.get(request.cookies.get(SIGNED_IN, ""))
    if account is None or not belongs(account, visit.tenant) or not visit.app.takes(account):
        raise Refused(50058)
    note(request.scope, account=account.id)
    check_account(account, visit.tenant)
    fault = visit.sandbox.faults.strike(AuthorizeError, account.id)
    if fault:
        raise visit.refused(fault.aadsts, account)
    if not visit.has_consent(account):
        raise visit.refused(65001, account)
    return answer(visit.destination, visit.code_for(account))


def _step(visit: Visit, request: Request, form: dict[str, str]) -> Response:
    account = visit.sandbox.accounts.get(form.get("account", ""))
    if form.get("answer") == "cancel":
        return answer(visit.destination, CANCELLED)
    if account is None:
        return account_page(request, visit.app, _choices(visit, request), visit.destination)
    note(request.scope, account=account.id)
    check_account(account, visit.tenant)
    if not visit.app.takes(account):
        raise visit.refused(50020, account)
    fault = visit.sandbox.faults.strike(AuthorizeError, account.id)
    if fault:
        return _faulty(visit, fault, account)
    check_scopes_for(account, visit.wish.scopes)
    if visit.wish.prompt == "consent" or not visit.has_consent(account):
        asked = _consent(visit, account, form)
        if asked is not None:
            return asked
    visit.sandbox.accounts.use(account, visit.sandbox.clock.now())
    response = answer(visit.destination, visit.code_for(account))
    response.set_cookie(SIGNED_IN, account.id, httponly=True, samesite="lax")
    return response


def _consent(visit: Visit, account: Account, form: dict[str, str]) -> Response | None:
    """The page that asks for consent, or says that somebody else must; None once consent is given."""
    policy = visit.sandbox.tenants.consent_of(account)
    if policy != "allowed":
        return _approval(visit, account, form, by_request=policy == "by-request")
    if form.get("answer") != "accept":
        return _page(visit, "identity/consent.html", account)
    holder = account.tid if account.admin and form.get("organization") else account.id
    visit.sandbox.tokens.consents.add(holder, visit.app.id, visit.wish.scopes)
    return None


def _approval(visit: Visit, account: Account, form: dict[str, str], *, by_request: bool) -> Response:
    refused = visit.refused(90095 if by_request else 90094, account)
    if form.get("answer") == "return":
        return told(visit.sandbox, visit.destination, refused, error_subcode="cancel")
    if not by_request:
        return _page(visit, "identity/admin_needed.html", account, refused=refused)
    address = admin_consent_address(account.tid, visit.app, visit.wish.scopes, visit.destination)
    return _page(visit, "identity/approval.html", account, sent=form.get("answer") == "request", address=address)


def _faulty(visit: Visit, fault: AuthorizeError, account: Account) -> Response:
    refused = visit.refused(fault.aadsts, account)
    shown = fault.shown or ("page" if refused.meaning.on_page else "redirect")
    if shown == "page":
        return error_page(visit.sandbox, refused)
    return told(visit.sandbox, visit.destination, refused)


def _page(visit: Visit, template: str, account: Account, **more: Any) -> Response:
    permissions = consent_lines(visit.wish.scopes)
    origin = visit.destination.origin
    return page(template, app=visit.app, account=account, permissions=permissions, forms_lead_to=[origin], **more)


def _choices(visit: Visit, request: Request) -> list[Account]:
    """Who may sign in here, those of the hinted domain only if there are any."""
    listed = visit.sandbox.accounts.last_used_first()
    accounts = [account for account in listed if belongs(account, visit.tenant) and visit.app.takes(account)]
    match request.query_params.get("domain_hint", "").casefold():
        case "consumers":
            hinted = [account for account in accounts if account.kind == "personal"]
        case "organizations":
            hinted = [account for account in accounts if account.kind == "work"]
        case domain:
            hinted = [account for account in accounts if account.domain == domain]
    return hinted or accounts
