"""The handshake: an address has to show that it expects notifications, before a subscription is made or moved."""

import uuid
from urllib.parse import quote, urlsplit

import httpx2

from outlook_sandbox.delivery.posting import post
from outlook_sandbox.graph.errors import GraphError

FAILED = "Subscription validation request failed."


async def shake_hands(client: httpx2.AsyncClient, address: str, seconds: float) -> None:
    """Ask an address to repeat a token that has to be URL-decoded. Raises GraphError 400 unless it does so in time."""
    token = f"Validation: Testing client application reachability for subscription Request-Id: {uuid.uuid4()}+100%"
    separator = "&" if urlsplit(address).query else "?"
    asked = f"{address}{separator}validationToken={quote(token, safe='')}"
    try:
        answer = await post(client, asked, b"", "text/plain; charset=utf-8", seconds)
    except TimeoutError as reason:
        raise _refused("Subscription validation request timed out.") from reason
    except (httpx2.HTTPError, httpx2.InvalidURL) as reason:
        raise _refused(f"{FAILED} Notification endpoint must respond with 200 OK to validation request.") from reason
    if answer.status != 200:
        raise _refused(f"{FAILED} Notification endpoint must respond with 200 OK to validation request.")
    if answer.body != token.encode() or not answer.content_type.startswith("text/plain"):
        raise _refused(f"{FAILED} Response must exactly match validationToken query parameter.")


def _refused(message: str) -> GraphError:
    return GraphError(400, "ValidationError", message)
