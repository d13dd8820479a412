"""A list that refreshes itself: the page holds it, and htmx asks for it again."""

import hashlib
from collections.abc import Sequence
from typing import Any

from fastapi import Request, Response

from settings_web.parts import Parts
from settings_web.sessions import Session

SOON, LATER = 1, 5
"""Seconds until the next look: while something is under way, and else."""


def table(parts: Parts, request: Request, session: Session, page: str, template: str, busy: Sequence[bool], **context: Any) -> Any:
    """What `refreshing.html` needs. `busy`: of each row, whether something is under way; `seen` tells one list from another."""
    body = parts.view.text(request, template, session=session, **context)
    every = SOON if any(busy) else LATER
    seen = hashlib.sha256(f"{every}{body}".encode()).hexdigest()[:16]
    return {"page": page, "body": body, "every": every, "seen": seen, "empty": not busy}


def refreshed(parts: Parts, request: Request, found: Any, seen: str = "") -> Response:
    """204, which htmx leaves alone, while the list is as the browser has it: so focus and selection stay where they are."""
    if found["seen"] == seen:
        return Response(status_code=204)
    return parts.view.bare(request, "refreshing.html", table=found)
