"""Outlook's ids: an ordinary one that changes when an event moves, an immutable one, and those of occurrences.

An occurrence's id is its master's with the date in it, so that it needs no storage and stays as long as the series does.
"""

import base64
import hashlib
import secrets
from datetime import date

ORDINARY = "AAMkAD"
IMMUTABLE = "AAkALg"
TAIL = "AAA="
STEM = 6 + 64
MASTER = STEM + len(TAIL)
OCCURRENCE = MASTER + 4


def new_id(prefix: str) -> str:
    return prefix + secrets.token_urlsafe(48) + TAIL


def made_of(prefix: str, name: str) -> str:
    """Always the same id for the same name."""
    digest = hashlib.blake2b(f"{prefix} {name}".encode(), digest_size=48).digest()
    return prefix + base64.urlsafe_b64encode(digest).decode() + TAIL


def occurrence_id(master: str, day: date) -> str:
    code = base64.urlsafe_b64encode(day.toordinal().to_bytes(3)).decode()
    return master[:STEM] + code + TAIL


def split_id(identifier: str) -> tuple[str, date | None]:
    """The master's id and the day, for an occurrence's id; else the id itself."""
    if len(identifier) != OCCURRENCE:
        return identifier, None
    try:
        day = date.fromordinal(int.from_bytes(base64.urlsafe_b64decode(identifier[STEM : STEM + 4])))
    except ValueError:
        return identifier, None
    return identifier[:STEM] + TAIL, day
