"""The gateway's doors as OpenAPI: plain ASGI routes describe themselves to nobody."""

from collections.abc import Mapping
from typing import Any

NO_BODY = {
    "202": "Everything genuine is in Kafka. What wasn't genuine was dropped, and the answer doesn't say so.",
    "400": "Not JSON with a list `value`, or no validation token that Graph would send.",
    "408": "The body took longer than POST_READ_SECONDS.",
    "413": "The body is larger than POST_LARGEST_BYTES.",
    "503": "The broker did not acknowledge in time, too much is in flight, or the process drains: post again.",
}

CLIENT_STATE = {"type": "string", "description": "As the subscription was given it: the only proof that an entry is Graph's."}
COMMON: dict[str, Any] = {
    "subscriptionId": {"type": "string", "maxLength": 200},
    "clientState": CLIENT_STATE,
    "tenantId": {"type": "string"},
}
KINDS: Mapping[str, Mapping[str, Any]] = {
    "/graph/notifications": {"changeType": {"enum": ["created", "updated", "deleted"]}, "resource": {"type": "string"}},
    "/graph/lifecycle": {"lifecycleEvent": {"enum": ["reauthorizationRequired", "subscriptionRemoved", "missed"]}},
}


def described() -> dict[str, Any]:
    """OpenAPI 3.1 of the two addresses."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Attendara's webhook gateway: what Microsoft Graph posts to", "version": "1"},
        "paths": {path: {"post": _post(path.rpartition("/")[2], own)} for path, own in KINDS.items()},
    }


def _post(name: str, own: Mapping[str, Any]) -> dict[str, Any]:
    entry = {"type": "object", "properties": COMMON | dict(own), "required": ["subscriptionId", "clientState"]}
    anything = {"description": "Any other entry is dropped, and the answer doesn't say so."}
    entries = {"type": "array", "items": {"anyOf": [entry, anything]}}
    body = {"type": "object", "properties": {"value": entries}, "required": ["value"]}
    responses: dict[str, Any] = {status: {"description": words} for status, words in NO_BODY.items()}
    responses["503"]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    responses["200"] = {
        "description": "The validation token, decoded.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
    return {
        "operationId": name,
        "summary": f"Microsoft Graph posts {name}, or shakes hands",
        "parameters": [
            {
                "name": "validationToken",
                "in": "query",
                "description": "Graph's handshake: answered with 200 and itself; the body is then not looked at.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 4096},
            }
        ],
        "requestBody": {
            "description": "Of every post but a handshake. Read as JSON whatever its Content-Type.",
            "content": {"application/json": {"schema": body}},
        },
        "responses": responses,
    }
