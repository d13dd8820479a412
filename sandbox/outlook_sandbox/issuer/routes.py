"""The provider's doors: discovery, keys, the sign-in page, token and userinfo."""

from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from outlook_sandbox.html import page, read_form
from outlook_sandbox.issuer.provider import PATH, SCOPES, Provider, Refused, answer_address
from outlook_sandbox.issuer.users import USERS, user
from outlook_sandbox.state import sandbox_of

NO_STORE = {"Cache-Control": "no-store"}

router = APIRouter(prefix=PATH, include_in_schema=False)


@router.get("/.well-known/openid-configuration")
async def metadata(request: Request) -> Response:
    provider = _provider(request)
    issuer = provider.issuer
    return JSONResponse(
        {
            "issuer": issuer,
            "authorization_endpoint": provider.sign_in_page,
            "token_endpoint": f"{issuer}/token",
            "userinfo_endpoint": f"{issuer}/userinfo",
            "jwks_uri": f"{issuer}/jwks",
            "scopes_supported": list(SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "claims_supported": ["sub", "name", "email", "email_verified", "org_id", "org_name", "roles"],
        }
    )


@router.get("/jwks")
async def jwks(request: Request) -> Response:
    return JSONResponse({"keys": [_provider(request).key.published()]})


@router.get("/authorize")
async def authorize(request: Request) -> Response:
    return _visit(request, {})


@router.post("/authorize")
async def continue_authorize(request: Request) -> Response:
    return _visit(request, await read_form(request))


@router.post("/token")
async def token(request: Request) -> Response:
    try:
        body = _provider(request).redeem(await read_form(request), request.headers.get("authorization"))
    except Refused as refused:
        return JSONResponse(refused.body(), refused.status, NO_STORE)
    return JSONResponse(body, headers=NO_STORE)


@router.get("/userinfo")
async def userinfo(request: Request) -> Response:
    known = _provider(request).whose(request.headers.get("authorization"))
    if known is None:
        return Response(status_code=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    return JSONResponse(known.claims(), headers=NO_STORE)


def _visit(request: Request, form: dict[str, str]) -> Response:
    provider, params = _provider(request), dict(request.query_params)
    try:
        redirect_uri = provider.destination(params)
    except Refused as refused:
        return page("issuer/error.html", status=refused.status, refused=refused)
    try:
        sign_in = provider.sign_in(params)
    except Refused as refused:
        return _back(redirect_uri, params.get("state"), refused.body())
    if form.get("answer") == "cancel":
        declined = Refused("access_denied", "The sign-in was cancelled.")
        return _back(redirect_uri, sign_in.state, declined.body())
    chosen = user(form.get("user", ""))
    if chosen is None:
        parts = urlsplit(redirect_uri)
        return page("issuer/sign_in.html", users=USERS, forms_lead_to=[f"{parts.scheme}://{parts.netloc}"])
    return _back(redirect_uri, sign_in.state, {"code": provider.give_code(chosen, sign_in)})


def _back(redirect_uri: str, state: str | None, values: dict[str, str]) -> Response:
    return RedirectResponse(answer_address(redirect_uri, state, values), 302, NO_STORE)


def _provider(request: Request) -> Provider:
    return sandbox_of(request).provider
