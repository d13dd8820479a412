"""`/me/outlook/masterCategories`: the mailbox's list of categories with their colours."""

import uuid
from typing import Any

from outlook_sandbox.faults import CategoryAnswersOld
from outlook_sandbox.graph.errors import GraphError, body_refused, no_such_property, not_found
from outlook_sandbox.graph.model import Category
from outlook_sandbox.graph.operations import METADATA, READ_SETTINGS, WRITE_SETTINGS, Answer, Call, operations
from outlook_sandbox.graph.paging import PAGING, page, select
from outlook_sandbox.graph.render import category_json

COLORS = frozenset(("none", *(f"preset{number}" for number in range(25))))
LONGEST_NAME = 255
LIST, ENTRY = "/me/outlook/masterCategories", "/me/outlook/masterCategories/*"


@operations.on("GET", LIST, scopes=READ_SETTINGS, query=PAGING - {"$orderby", "$filter"})
def list_categories(call: Call) -> Answer:
    """Microsoft's list can't be filtered either, whatever its documentation says (microsoft-graph-docs issue 12777)."""
    categories = list(call.mailbox.categories.values())
    return page(call, categories, lambda category: select(call, category_json(category)), _context(call))


@operations.on("POST", LIST, scopes=WRITE_SETTINGS)
def create_category(call: Call) -> Answer:
    sent = _read(call, {"displayName", "color"})
    name, color = sent.get("displayName"), sent.get("color", "none")
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME:
        raise GraphError(400, "ErrorInvalidArgument", "The property 'displayName' is required, up to 255 characters.")
    if any(category.name.casefold() == name.casefold() for category in call.mailbox.categories.values()):
        raise GraphError(409, "CategoryNameExists", "Category name already exists.")
    category = call.mailbox.put_category(Category(str(uuid.uuid4()), call.mailbox.account.id, name, _color(color)))
    return Answer(201, _entity(call, category))


@operations.on("GET", ENTRY, scopes=READ_SETTINGS)
def get_category(call: Call) -> Answer:
    return Answer(200, _entity(call, _category(call)))


@operations.on("PATCH", ENTRY, scopes=WRITE_SETTINGS)
def update_category(call: Call) -> Answer:
    category = _category(call)
    sent = _read(call, {"color", "displayName"})
    if sent.get("displayName", category.name) != category.name:
        raise GraphError(400, "ErrorInvalidPropertySet", "The property 'displayName' can't be changed.")
    before = _entity(call, category)
    category.color = _color(sent.get("color", category.color))
    call.mailbox.put_category(category)
    old = call.sandbox.faults and call.sandbox.faults.strike(CategoryAnswersOld, call.mailbox.account.id)
    return Answer(200, before if old else _entity(call, category))


@operations.on("DELETE", ENTRY, scopes=WRITE_SETTINGS)
def delete_category(call: Call) -> Answer:
    call.mailbox.remove_category(_category(call))
    return Answer(204)


def _category(call: Call) -> Category:
    category = call.mailbox.categories.get(call.names[0])
    if category is None:
        raise not_found()
    return category


def _read(call: Call, known: set[str]) -> dict[str, Any]:
    sent = call.json()
    unknown = sorted(sent.keys() - known - {"@odata.type"})
    if unknown:
        raise no_such_property(unknown[0], "outlookCategory")
    return sent


def _color(sent: object) -> str:
    if not isinstance(sent, str) or sent not in COLORS:
        raise body_refused(f"Cannot convert the value '{sent}' to the expected type 'microsoft.graph.categoryColor'.")
    return sent


def _context(call: Call) -> str:
    return f"users('{call.mailbox.account.id}')/outlook/masterCategories"


def _entity(call: Call, category: Category) -> dict[str, Any]:
    return {"@odata.context": f"{METADATA}{_context(call)}/$entity"} | category_json(category)
