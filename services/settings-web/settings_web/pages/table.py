"""A list that refreshes itself: the page holds it, and htmx asks for it again."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from markupsafe import Markup

from settings_web.parts import Parts
from settings_web.sessions import Session

SOON, LATER = 1, 5
"""Seconds until the next look: while something is under way, and else."""


@dataclass(frozen=True)
class Table:
    """The list of a page, for `refreshing.html`."""

    page: str
    body: Markup
    empty: bool
    every: int

    @property
    def seen(self) -> str:
        """Tells one state of the list from another."""
        return hashlib.sha256(f"{self.every}{self.body}".encode()).hexdigest()[:16]


def table(
    parts: Parts, request: Request, session: Session, page: str, template: str, busy: Sequence[bool], **context: Any
) -> Table:
    """`busy`: of each row, whether something is under way."""
    body = parts.view.text(request, template, session=session, **context)
    return Table(page, body, empty=not busy, every=SOON if any(busy) else LATER)


def refreshed(parts: Parts, request: Request, found: Table, seen: str = "") -> Response:
    """204, which htmx leaves alone, while the list is as the browser has it: so focus and selection stay where they are."""
    if found.seen == seen:
        return Response(status_code=204)
    return parts.view.bare(request, "refreshing.html", table=found)
