"""`$expand` on events: what of it Outlook knows, which is extended properties by id, and the exceptions of a series."""

import re
from dataclasses import dataclass
from typing import Any

from outlook_sandbox.graph.errors import GraphError
from outlook_sandbox.graph.filter import Test, read_filter
from outlook_sandbox.graph.model import Item
from outlook_sandbox.graph.operations import Call
from outlook_sandbox.graph.properties import EXTENDED

EXTENDED_PROPERTIES = "singleValueExtendedProperties"
EXCEPTIONS = "exceptionOccurrences"
# A name, and options in parentheses, within which texts and further parentheses may stand.
_WISH = re.compile(r"\s*(\w+)\s*(?:\(((?:'[^']*'|\((?:'[^']*'|[^'()])*\)|[^'()])*)\))?\s*(?:,|$)")


@dataclass(frozen=True, slots=True)
class Expand:
    """What is to be expanded: the extended properties that the test lets through, and the exceptions."""

    test: Test | None = None
    exceptions: bool = False

    def extended(self, item: Item) -> dict[str, Any]:
        """The wished extended properties, if the event has one of them."""
        if self.test is None:
            return {}
        shown = [each for each in extended_json(item) if self.test(each)]
        return {EXTENDED_PROPERTIES: shown} if shown else {}


def read_expand(call: Call, *known: str) -> Expand:
    """What the call's $expand wants, of what is known here. Raises GraphError 400."""
    text, position = call.query.get("$expand", ""), 0
    test: Test | None = None
    exceptions = False
    while position < len(text):
        wish = _WISH.match(text, position)
        if wish is None or wish[1] not in known:
            raise _not_supported(text)
        name, options = wish.groups()
        if name == EXTENDED_PROPERTIES:
            if not (options or "").startswith("$filter="):
                raise _not_supported(text)
            test = read_filter(options.removeprefix("$filter="), EXTENDED)
        elif options is None:
            exceptions = True
        else:
            raise _not_supported(text)
        position = wish.end()
    return Expand(test, exceptions)


def extended_json(item: Item) -> list[dict[str, str]]:
    return [{"id": identifier, "value": value} for identifier, value in item.extended.items()]


def _not_supported(text: str) -> GraphError:
    return GraphError(400, "ErrorInvalidUrlQuery", f"The $expand clause '{text}' is not supported.")
