"""Extended properties: values that apps hang on events. Outlook keeps them, and shows them only to who asks for them by id."""

import re

import msgspec

from outlook_sandbox.graph.errors import GraphError

_TYPES = "(?:ApplicationTime|Binary|Boolean|CLSID|Currency|Double|Error|Float|Integer|Long|Null|Object|Short|String|SystemTime)"
_GUID = r"\{[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}"
_NAMED = re.compile(rf"({_TYPES} {_GUID} Name )(.+)", re.IGNORECASE | re.DOTALL)
_NUMBERED = re.compile(rf"{_TYPES} (?:{_GUID} Id (?:0x[0-9a-f]+|[0-9]+)|0x(?:[0-9a-f]{{4}}){{1,2}})", re.IGNORECASE)


class ExtendedProperty(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    value: str


def normal(identifier: str) -> str:
    """An id as ids are compared: upper and lower case count only in a property's own name. Raises GraphError 400."""
    if (named := _NAMED.fullmatch(identifier)) is not None:
        return named[1].casefold() + named[2]
    if _NUMBERED.fullmatch(identifier) is not None:
        return identifier.casefold()
    raise GraphError(
        400,
        "ErrorInvalidExtendedProperty",
        "The id of an extended property must be 'type {guid} Name name', 'type {guid} Id number' or 'type 0xproptag'.",
    )


def merged(before: dict[str, str], sent: list[ExtendedProperty]) -> dict[str, str]:
    """The values by id once those that were sent are set; ids stay as they were written. Raises GraphError 400."""
    new = {normal(each.id): each for each in sent}
    kept = {identifier: value for identifier, value in before.items() if normal(identifier) not in new}
    return kept | {each.id: each.value for each in new.values()}
