"""Sign-in and sign-out."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from settings_web.connect import CALENDARS, own_page
from settings_web.parts import SESSION_COOKIE, HasParts, SameOrigin

SIGNIN_COOKIE = "attendara_signin"

routes = APIRouter(include_in_schema=False)


@routes.get("/")
async def start() -> Response:
    return RedirectResponse(CALENDARS, 303)


@routes.get("/signin")
async def sign_in(request: Request, parts: HasParts, next: str | None = None) -> Response:
    begun = await parts.sign_in.begin(request, own_page(next, CALENDARS))
    response = RedirectResponse(begun.url, 303, {"Cache-Control": "no-store"})
    secure = not parts.settings.local
    response.set_cookie(SIGNIN_COOKIE, begun.cookie, 600, path="/signin", httponly=True, secure=secure, samesite="lax")
    return response


@routes.get("/signin/return")
async def signed_in(request: Request, parts: HasParts) -> Response:
    who, next_page = await parts.sign_in.finish(request, request.cookies.get(SIGNIN_COOKIE))
    cookie = await parts.sessions.start(who, previous=request.cookies.get(SESSION_COOKIE))
    response = RedirectResponse(next_page, 303, {"Cache-Control": "no-store"})
    lifetime, secure = parts.settings.session_hours * 3600, not parts.settings.local
    response.set_cookie(SESSION_COOKIE, cookie, lifetime, httponly=True, secure=secure, samesite="lax")
    response.delete_cookie(SIGNIN_COOKIE, path="/signin")
    return response


@routes.post("/signout")
async def sign_out(request: Request, parts: HasParts, session: SameOrigin) -> Response:
    await parts.sessions.end(request.cookies.get(SESSION_COOKIE))
    response = RedirectResponse("/signed-out", 303)
    response.delete_cookie(SESSION_COOKIE)
    return response


@routes.get("/signed-out")
async def signed_out(request: Request, parts: HasParts) -> Response:
    return parts.view.bare(request, "signed_out.html")
