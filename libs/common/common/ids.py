"""Our ids: a ULID behind a prefix that says what it names."""

import re
from typing import Literal

from ulid import ULID

Prefix = Literal["apt", "cal", "con", "sub"]

_SHAPE = re.compile(r"(?:apt|cal|con|sub)_[0-9a-hjkmnp-tv-z]{26}")


def new_id(prefix: Prefix) -> str:
    """`cal_01k…`: sorts by time of creation, lower case, 30 characters."""
    return f"{prefix}_{str(ULID()).lower()}"


def is_id(text: str, prefix: Prefix) -> bool:
    return text.startswith(f"{prefix}_") and _SHAPE.fullmatch(text) is not None
