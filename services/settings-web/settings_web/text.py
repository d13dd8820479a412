"""What people may write into a field of one line."""

import unicodedata

from common.errors import Rejected

_UNUSABLE = ("Cc", "Cs")
"""Control characters, and halves of a character that no encoding takes."""


def one_line(text: str) -> str:
    """With single spaces, and none around. Raises Rejected (422)."""
    line = " ".join(text.split())
    if any(unicodedata.category(character) in _UNUSABLE for character in line):
        raise Rejected("There is a character that can’t be used.", status=422, reason="unusable-character")
    return line
