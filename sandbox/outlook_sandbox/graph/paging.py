"""Lists in pages, with the query options that all of Outlook's lists share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from outlook_sandbox.graph.errors import GraphError, bad_request
from outlook_sandbox.graph.operations import Answer, Call
from outlook_sandbox.graph.prefer import MOST_PER_PAGE

PAGING = frozenset(("$top", "$skip", "$select", "$orderby"))
USUAL_PAGE = 10
Listed = TypeVar("Listed")


@dataclass(frozen=True, slots=True)
class Order:
    """How a list may be sorted: property path to the value sorted by."""

    property: str
    descending: bool


def number(call: Call, name: str, default: int, least: int, most: int) -> int:
    text = call.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise bad_request(f"Invalid value '{text}' for {name} query option found. It must be from {least} to {most}.")
    return int(text)


def order(call: Call, known: frozenset[str]) -> list[Order]:
    wishes = []
    for part in filter(None, (part.strip() for part in call.query.get("$orderby", "").split(","))):
        name, _, direction = part.partition(" ")
        if name not in known or direction.strip() not in ("", "asc", "desc"):
            raise GraphError(400, "ErrorInvalidUrlQuery", f"The $orderby clause '{part}' is not supported.")
        wishes.append(Order(name, direction.strip() == "desc"))
    return wishes


def page(call: Call, listed: Sequence[Listed], write: Callable[[Listed], dict[str, Any]], context: str) -> Answer:
    """One page of a list that is already in order."""
    size = number(call, "$top", call.preferences.page_size or USUAL_PAGE, 1, MOST_PER_PAGE)
    skip = number(call, "$skip", 0, 0, 2**31)
    body: dict[str, Any] = {
        "@odata.context": f"https://graph.microsoft.com/v1.0/$metadata#{context}",
        "value": [select(call, write(entry)) for entry in listed[skip : skip + size]],
    }
    if skip + size < len(listed):
        query = call.query | {"$skip": str(skip + size)}
        body["@odata.nextLink"] = call.link(urlencode(query, quote_via=quote, safe="$:/,"))
    return Answer(200, body)


def select(call: Call, shown: dict[str, Any]) -> dict[str, Any]:
    """Only the wished properties, the id and the annotations."""
    wished = call.query.get("$select")
    if not wished:
        return shown
    names = {name.strip() for name in wished.split(",") if name.strip()}
    unknown = sorted(names - shown.keys())
    if unknown:
        raise GraphError(400, "RequestBroker--ParseUri", f"Could not find a property named '{unknown[0]}'.")
    return {name: value for name, value in shown.items() if name in names or name == "id" or name.startswith("@")}
