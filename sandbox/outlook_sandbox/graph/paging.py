"""Lists in pages, with the query options that all of Outlook's lists share."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from outlook_sandbox.graph.errors import GraphError, bad_request
from outlook_sandbox.graph.operations import METADATA, Answer, Call
from outlook_sandbox.graph.prefer import MOST_PER_PAGE

SELECT = frozenset(("$select",))
PAGING = frozenset(("$top", "$skip", "$select", "$orderby", "$filter", "$count"))
USUAL_PAGE = 10
Listed = TypeVar("Listed")


def number(call: Call, name: str, default: int, least: int, most: int) -> int:
    text = call.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= most):
        raise bad_request(f"Invalid value '{text}' for {name} query option found. It must be from {least} to {most}.")
    return int(text)


def page(call: Call, listed: Sequence[Listed], write: Callable[[Listed], dict[str, Any]], context: str) -> Answer:
    """One page of a list that is already filtered and in order; `write` has to heed $select."""
    size = number(call, "$top", call.preferences.page_size or USUAL_PAGE, 1, MOST_PER_PAGE)
    skip = number(call, "$skip", 0, 0, 2**31)
    body: dict[str, Any] = {"@odata.context": f"{METADATA}{context}"}
    counted = call.query.get("$count", "false")
    if counted not in ("true", "false"):
        raise bad_request(f"Invalid value '{counted}' for $count query option found. It must be true or false.")
    if counted == "true":
        body["@odata.count"] = len(listed)
    body["value"] = [write(entry) for entry in listed[skip : skip + size]]
    if skip + size < len(listed):
        query = call.query | {"$skip": str(skip + size)}
        body["@odata.nextLink"] = call.link(urlencode(query, quote_via=quote, safe="$:/,"))
    return Answer(200, body)


def select(call: Call, shown: dict[str, Any], unshown: Collection[str] = ()) -> dict[str, Any]:
    """Only the wished properties, the id and the annotations; `unshown` are properties that exist but are not given here."""
    names = {name.strip() for name in call.query.get("$select", "").split(",") if name.strip()}
    if not names:
        return shown
    unknown = sorted(names - shown.keys() - set(unshown))
    if unknown:
        raise GraphError(400, "RequestBroker--ParseUri", f"Could not find a property named '{unknown[0]}'.")
    return {name: value for name, value in shown.items() if name in names or name == "id" or name.startswith("@")}
