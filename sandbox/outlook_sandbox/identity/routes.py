"""The doors of the identity platform: metadata, keys, the sign-in pages and the token endpoint."""

from dataclasses import dataclass
from typing import cast

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from outlook_sandbox.accounts import Account
from outlook_sandbox.html import page
from outlook_sandbox.identity.apps import App, authenticated_app, registered_app
from outlook_sandbox.identity.authorize import Destination, Wish, agreed, check_scopes_for, read_destination, read_wish
from outlook_sandbox.identity.errors import Refused
from outlook_sandbox.identity.redeem import TokenRequest, redeem
from outlook_sandbox.identity.scopes import consent_lines
from outlook_sandbox.identity.tenants import belongs, check_account, check_tenant, issuer
from outlook_sandbox.settings import Settings
from outlook_sandbox.state import Sandbox

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
        return self.wish.scopes <= self.sandbox.tokens.consents.of(account.id, self.app.id)


@router.get("/{tenant}/v2.0/.well-known/openid-configuration")
async def metadata(tenant: str, request: Request) -> Response:
    sandbox = _sandbox(request)
    try:
        name = check_tenant(tenant, sandbox.accounts.all())
    except Refused as refused:
        return _refusal(sandbox, refused)
    http, https = _bases(sandbox.settings)
    return JSONResponse(
        {
            "issuer": issuer(https, name),
            "authorization_endpoint": f"{http}/{tenant}/oauth2/v2.0/authorize",
            "token_endpoint": f"{https}/{tenant}/oauth2/v2.0/token",
            "jwks_uri": f"{https}/{tenant}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "claims_supported": [
                *(
                    "sub",
                    "iss",
                    "aud",
                    "exp",
                    "iat",
                    "nbf",
                    "nonce",
                    "oid",
                    "tid",
                    "name",
                    "preferred_username",
                    "email",
                )
            ],
            "request_uri_parameter_supported": False,
        }
    )


@router.get("/{tenant}/discovery/v2.0/keys")
async def keys(tenant: str, request: Request) -> Response:
    sandbox = _sandbox(request)
    try:
        name = check_tenant(tenant, sandbox.accounts.all())
    except Refused as refused:
        return _refusal(sandbox, refused)
    key = sandbox.tokens.key.published() | {"issuer": issuer(_bases(sandbox.settings)[1], name)}
    return JSONResponse({"keys": [key]})


@router.get("/{tenant}/oauth2/v2.0/authorize")
async def authorize(tenant: str, request: Request) -> Response:
    return _visit(tenant, request, {})


@router.post("/{tenant}/oauth2/v2.0/authorize")
async def continue_authorize(tenant: str, request: Request) -> Response:
    return _visit(tenant, request, await _form(request))


@router.post("/{tenant}/oauth2/v2.0/token")
async def token(tenant: str, request: Request) -> Response:
    sandbox, form = _sandbox(request), await _form(request)
    try:
        name = check_tenant(tenant, sandbox.accounts.all())
        app = authenticated_app(sandbox.settings, form, request.headers.get("authorization"))
        wish = TokenRequest(name, app, form, _bases(sandbox.settings)[1])
        body = redeem(wish, sandbox.tokens, sandbox.accounts, sandbox.clock.now())
    except Refused as refused:
        return _refusal(sandbox, refused)
    return JSONResponse(body, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


def _visit(tenant: str, request: Request, form: dict[str, str]) -> Response:
    """Every step of signing in has the same address; what is posted says how far it has come."""
    sandbox, params = _sandbox(request), dict(request.query_params)
    try:
        name = check_tenant(tenant, sandbox.accounts.all())
        app = registered_app(sandbox.settings, params.get("client_id"))
        destination = read_destination(params, app)
    except Refused as refused:
        return _error_page(sandbox, refused)
    try:
        visit = Visit(sandbox, name, app, destination, read_wish(params))
        if visit.wish.prompt == "none":
            return _answer(destination, visit.code_for(_silently(visit, request)))
        return _step(visit, form)
    except Refused as refused:
        body = refused.body(sandbox.clock.now())
        return _answer(destination, {name: body[name] for name in ("error", "error_description")})


def _silently(visit: Visit, request: Request) -> Account:
    account = visit.sandbox.accounts.get(request.cookies.get(SIGNED_IN, ""))
    if account is None or not belongs(account, visit.tenant):
        raise Refused(50058, "A silent sign-in request was sent but no user is signed in.")
    if not visit.has_consent(account):
        raise Refused(65001, f"The user has not consented to use the application with ID '{visit.app.id}'.")
    return account


def _step(visit: Visit, form: dict[str, str]) -> Response:
    account = visit.sandbox.accounts.get(form.get("account", ""))
    if form.get("answer") == "cancel":
        return _answer(visit.destination, CANCELLED)
    if account is None:
        return _account_page(visit)
    try:
        check_account(account, visit.tenant)
    except Refused as refused:
        return _error_page(visit.sandbox, refused)
    check_scopes_for(account, visit.wish.scopes)
    if form.get("answer") == "accept":
        visit.sandbox.tokens.consents.add(account.id, visit.app.id, visit.wish.scopes)
    elif visit.wish.prompt == "consent" or not visit.has_consent(account):
        return _consent_page(visit, account)
    response = _answer(visit.destination, visit.code_for(account))
    response.set_cookie(SIGNED_IN, account.id, httponly=True, samesite="lax")
    return response


def _account_page(visit: Visit) -> Response:
    hint = visit.wish.login_hint.casefold()
    accounts = [account for account in visit.sandbox.accounts.all() if belongs(account, visit.tenant)]
    accounts.sort(key=lambda account: account.username.casefold() != hint)
    return page("identity/pick.html", app=visit.app, accounts=accounts, forms_lead_to=[visit.destination.origin])


def _consent_page(visit: Visit, account: Account) -> Response:
    return page(
        "identity/consent.html",
        app=visit.app,
        account=account,
        permissions=consent_lines(visit.wish.scopes),
        forms_lead_to=[visit.destination.origin],
    )


def _error_page(sandbox: Sandbox, refused: Refused) -> HTMLResponse:
    body = refused.body(sandbox.clock.now())
    return page("identity/error.html", status=refused.status, refused=refused, body=body)


def _answer(destination: Destination, values: dict[str, str]) -> Response:
    if destination.response_mode == "form_post":
        answer = destination.answer(values)
        return page(
            "identity/form_post.html",
            address=destination.redirect_uri,
            values=answer,
            forms_lead_to=[destination.origin],
        )
    return RedirectResponse(destination.address(values), 302, {"Cache-Control": "no-store"})


def _refusal(sandbox: Sandbox, refused: Refused) -> JSONResponse:
    return JSONResponse(refused.body(sandbox.clock.now()), refused.status, {"Cache-Control": "no-store"})


def _sandbox(request: Request) -> Sandbox:
    return cast(Sandbox, request.app.state.sandbox)


def _bases(settings: Settings) -> tuple[str, str]:
    """The http address, for what a browser meets, and the https one, for what MSAL meets."""
    return f"http://localhost:{settings.http_port}", f"https://localhost:{settings.https_port}"


async def _form(request: Request) -> dict[str, str]:
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
