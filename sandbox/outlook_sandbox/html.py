"""Pages of the sandbox: templates, their static files, and the security headers that every page carries."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse
from jinja2 import Environment, PackageLoader, PrefixLoader

PARTS = ("customers", "identity", "issuer", "pages")
FOLDER = Path(__file__).parent
FILE_NAME = re.compile(r"[a-z][a-z-]*\.(css|js|svg)")

router = APIRouter(include_in_schema=False)
_templates = Environment(
    loader=PrefixLoader({part: PackageLoader(f"outlook_sandbox.{part}") for part in PARTS}),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(template: str, *, status: int = 200, forms_lead_to: Iterable[str] = (), **values: Any) -> HTMLResponse:
    """A page from `<part>/<template>`; `forms_lead_to` names foreign origins that its forms may end at."""
    targets = " ".join(["'self'", *forms_lead_to])
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        f"form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(_templates.get_template(template).render(values), status, headers)


async def read_form(request: Request) -> dict[str, str]:
    """The texts of a form that a page sent."""
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


@router.get("/assets/{part}/{name}")
async def asset(part: str, name: str) -> FileResponse:
    file = FOLDER / part / "static" / name
    if part not in PARTS or not FILE_NAME.fullmatch(name) or not file.is_file():
        raise HTTPException(404)
    return FileResponse(file, headers={"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"})
