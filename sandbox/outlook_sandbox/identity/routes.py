"""The doors of the identity platform that programs use: metadata, keys, the token endpoint, who a token belongs to."""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from outlook_sandbox.cut import ConnectionCut
from outlook_sandbox.faults import TokenError, TokenTrouble
from outlook_sandbox.html import page, read_form
from outlook_sandbox.identity import admin_consent, sign_in
from outlook_sandbox.identity.aadsts import MEANINGS
from outlook_sandbox.identity.client_authentication import ClientRequest, authenticated_app
from outlook_sandbox.identity.errors import Refused
from outlook_sandbox.identity.redeem import TokenRequest, pairwise_subject, redeem
from outlook_sandbox.identity.tenants import issuer
from outlook_sandbox.identity.web import bases, refusal
from outlook_sandbox.journaling import note
from outlook_sandbox.state import Sandbox, sandbox_of

UNAVAILABLE = """<html><head><title>{status}</title></head>
<body><h1>{status}</h1><p>The service is unavailable.</p></body></html>"""

router = APIRouter(include_in_schema=False)
router.include_router(sign_in.router)
router.include_router(admin_consent.router)


@router.get("/{tenant}/v2.0/.well-known/openid-configuration")
async def metadata(tenant: str, request: Request) -> Response:
    sandbox = sandbox_of(request)
    try:
        name = sandbox.tenants.canonical(tenant)
    except Refused as refused:
        return refusal(request, refused)
    http, https = bases(sandbox.settings)
    # A domain name leads to the addresses of its tenant's id; `consumers` keeps its name.
    shown = tenant if tenant.casefold() == "consumers" else name
    return JSONResponse(
        {
            "issuer": issuer(https, name),
            "authorization_endpoint": f"{http}/{shown}/oauth2/v2.0/authorize",
            "token_endpoint": f"{https}/{shown}/oauth2/v2.0/token",
            "jwks_uri": f"{https}/{shown}/discovery/v2.0/keys",
            "userinfo_endpoint": f"{https}/oidc/userinfo",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "claims_supported": [
                "sub", "iss", "aud", "exp", "iat", "nbf", "nonce", "oid", "tid", "name", "preferred_username", "email",
            ],
            "request_uri_parameter_supported": False,
        }
    )  # fmt: skip


@router.get("/{tenant}/discovery/v2.0/keys")
async def keys(tenant: str, request: Request) -> Response:
    sandbox = sandbox_of(request)
    try:
        name = sandbox.tenants.canonical(tenant)
    except Refused as refused:
        return refusal(request, refused)
    key = sandbox.tokens.key.published() | {"issuer": issuer(bases(sandbox.settings)[1], name)}
    return JSONResponse({"keys": [key]})


@router.post("/{tenant}/oauth2/v2.0/token")
async def token(tenant: str, request: Request) -> Response:
    sandbox, form = sandbox_of(request), await read_form(request)
    account = _owner(sandbox, form)
    note(request.scope, **_known(account=account, app=form.get("client_id")))
    trouble = await _trouble(request, account) if sandbox.faults else None
    if trouble is not None:
        return trouble
    https = bases(sandbox.settings)[1]
    audiences = (f"{https}/{tenant}/oauth2/v2.0/token", f"{https}/{tenant}/v2.0")
    try:
        _check_faults(sandbox, account, tenant, form)
        name = sandbox.tenants.canonical(tenant)
        sender = ClientRequest(name, form, request.headers.get("authorization"), audiences)
        app = authenticated_app(sandbox.apps, sender, sandbox.clock.now())
        wish = TokenRequest(name, app, form, https)
        body = redeem(wish, sandbox.tokens, sandbox.accounts, sandbox.clock.now())
    except Refused as refused:
        return refusal(request, refused)
    return JSONResponse(body, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


@router.get("/oidc/userinfo")
@router.post("/oidc/userinfo")
async def userinfo(request: Request) -> Response:
    """Who a token belongs to; Microsoft serves it at Graph's address."""
    sandbox = sandbox_of(request)
    bearer = request.headers.get("authorization", "").partition(" ")[2].strip()
    found = sandbox.tokens.read(bearer)
    account = sandbox.accounts.get(found.account) if found else None
    if found is None or account is None or "openid" not in found.scopes:
        error = {"code": "InvalidAuthenticationToken", "message": "Access token is empty, has expired, or lacks openid."}
        return JSONResponse({"error": error}, 401, {"WWW-Authenticate": "Bearer"})
    who = {"sub": pairwise_subject(account, found.app)}
    if "profile" in found.scopes:
        given, _, family = account.name.rpartition(" ")
        who |= {"name": account.name, "given_name": given, "family_name": family}
    if "email" in found.scopes:
        who["email"] = account.username
    return JSONResponse(who, headers={"Cache-Control": "no-store"})


@router.get("/error")
async def error(code: int = 0) -> Response:
    """Where `error_uri` leads: what a number means here, or all of them."""
    meanings = {code: MEANINGS[code]} if code in MEANINGS else dict(sorted(MEANINGS.items()))
    return page("identity/numbers.html", meanings=meanings)


def _known(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _owner(sandbox: Sandbox, form: Mapping[str, str]) -> str | None:
    """The account that a token request is about, whatever becomes of it."""
    return sandbox.tokens.owner_of(form.get("refresh_token", "")) or sandbox.tokens.codes.owner_of(form.get("code", ""))


async def _trouble(request: Request, account: str | None) -> Response | None:
    fault = sandbox_of(request).faults.strike(TokenTrouble, account)
    match fault.shape if fault else None:
        case "cut":
            raise ConnectionCut
        case "slow" if fault:
            await sandbox_of(request).clock.sleep(fault.seconds)
        case "unavailable" if fault:
            return refusal(request, Refused(90033), fault.status)
        case "html" if fault:
            return HTMLResponse(UNAVAILABLE.format(status=fault.status), fault.status)
    return None


def _check_faults(sandbox: Sandbox, account: str | None, tenant: str, form: Mapping[str, str]) -> None:
    """Raises Refused if a fault strikes this request."""
    grant = form.get("grant_type")
    fault = sandbox.faults.strike(TokenError, account, form.get("client_id"), fits=lambda fault: fault.grant in (None, grant))
    if fault is None:
        return
    owner, app = sandbox.accounts.get(account or ""), sandbox.apps.get(form.get("client_id", ""))
    now = f"{sandbox.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    known = {"user": owner.username if owner else "…", "app_name": app.name if app else "…"}
    raise Refused(fault.aadsts, tenant=tenant, app=form.get("client_id", "…"), issued=now, now=now, **known)
