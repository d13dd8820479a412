"""`/livez` and `/readyz`: the first says that the process answers, the second that it can do its work."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter
from fastapi.responses import JSONResponse

Check = Callable[[], Awaitable[str | None]]
"""Returns None when all is well, else a few words on what is missing."""


def health_routes(checks: Mapping[str, Check], *, patience: float = 2.0) -> APIRouter:
    """`/readyz` is 200 when every check passes within `patience` seconds, else 503 with what each one said."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/livez")
    async def livez() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @routes.get("/readyz")
    async def readyz() -> JSONResponse:
        said = await asyncio.gather(*(_ask(check, patience) for check in checks.values()))
        missing = {name: words for name, words in zip(checks, said, strict=True) if words}
        return JSONResponse({"status": "not ready" if missing else "ok", **missing}, status_code=503 if missing else 200)

    return routes


def once_found(check: Check) -> Check:
    """Passes for good when it has passed once: of what must be there at the start, so that a wrong address stops a rollout, but
    may be away later, since a replica that isn't ready is not called at all, even for what it could do without.
    """
    found = False

    async def ask() -> str | None:
        nonlocal found
        if found:
            return None
        said = await check()
        found = said is None
        return said

    return ask


async def _ask(check: Check, patience: float) -> str | None:
    try:
        return await asyncio.wait_for(check(), patience)
    except TimeoutError:
        return "no answer in time"
    except Exception as error:  # whatever it is, it is a reason not to be ready
        return f"{type(error).__name__}: {error}"[:200]
