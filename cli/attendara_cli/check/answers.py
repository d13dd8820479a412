"""What is wrong with an answer, in plain words: None where nothing is."""

import html
import re
from urllib.parse import unquote_plus

import httpx2

from attendara_cli.check.posting import Answer

REFUSED = "something in front (a sign-in, a firewall, a list of addresses) refuses; Graph signs in nowhere: let its posts pass"
_STATUSES = {
    400: "what arrived isn't what was posted, or a client's certificate is asked for, and Graph shows none",
    401: REFUSED,
    403: REFUSED,
    404: "nobody serves this path: route it to the webhook gateway, unchanged",
    405: "POST isn't allowed at this path: route it to the webhook gateway, unchanged",
    407: REFUSED,
    413: "the body is too large for what stands in front: raise its limit to the gateway's own",
    429: "a limit on the rate stands in front: Graph's posts come in bursts, let them pass",
    502: "what stands in front can't reach the gateway: does it run, and is the port right?",
    503: "the gateway has no broker, too much to do, or is about to stop (see its /readyz and its log); or none is ready",
    504: "what stands in front waited for the gateway in vain: see the gateway's log, and the way between them",
    511: REFUSED,
}
_SIGN_IN = re.compile(r"log-?[io]n|sign-?in|oauth|openid|authorize|saml|adfs|\bsso\b", re.IGNORECASE)
LONGEST_QUOTE = 60


def handshake_trouble(answer: Answer, url: str, token: str) -> str | None:
    if trouble := _not_taken(answer, url, expected=200):
        return trouble
    if answer.media_type != "text/plain":
        return f"the content type is {answer.media_type or 'missing'}, and Graph wants text/plain{_page(answer)}"
    if answer.body != token.encode():
        return _altered(answer.body.decode(errors="replace"), token)
    return None


def probe_trouble(answer: Answer, url: str, key: str) -> str | None:
    """`key`: the id of the key that the probe was signed with."""
    if trouble := _not_taken(answer, url, expected=202):
        return trouble
    if answer.headers.get("Attendara-Probe") != "recognized":
        return (
            f"202, but it wasn't recognized: the gateway has another key {key} in CLIENT_STATE_KEYS, or none of this name, and "
            "drops all that is signed with ours; or another service answers"
        )
    return None


def _not_taken(answer: Answer, url: str, expected: int) -> str | None:
    if answer.status == expected:
        return None
    if 300 <= answer.status < 400:
        return _redirect(answer, url)
    if answer.status in _STATUSES:
        return f"{answer.status}: {_STATUSES[answer.status]}"
    if answer.status >= 500:
        return f"{answer.status}: the gateway, or what stands in front of it, fails: see their logs"
    return f"{answer.status} instead of {expected}, which the webhook gateway never answers: something else does{_page(answer)}"


def _redirect(answer: Answer, url: str) -> str:
    """Where to is said without the query: it may repeat that of our address, which may hold a secret."""
    target = httpx2.URL(url).join(answer.headers.get("location", ""))
    where = target.copy_with(query=None, fragment=None)
    if _SIGN_IN.search(f"{target.host} {target.path}"):
        return f"{answer.status}: it redirects to a sign-in at {where}; Graph signs in nowhere: let its posts pass"
    return f"{answer.status}: it redirects to {where}, and Graph follows no redirect: answer here, or give Graph that address"


def _page(answer: Answer) -> str:
    is_page = answer.media_type == "text/html" or answer.body.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html"))
    return "; it is a web page: of a sign-in in front, or of another service" if is_page else ""


def _altered(said: str, token: str) -> str:
    if not said:
        return "the answer is empty, and Graph wants its token in it"
    if unquote_plus(said) == token:
        return "the token is still URL-encoded: something repeats the query as it came, not the gateway"
    if said == unquote_plus(token):
        return "the token was URL-decoded twice: something in front decodes the query before it passes it on"
    if html.unescape(said) == token:
        return "the token is escaped for HTML, and Graph wants it as it is"
    if said in (f'"{token}"', f"'{token}'"):
        return "the token stands in quotes, as JSON would have it, and Graph wants it as it is"
    if token in said:
        return "something stands around the token (a line's end counts), and Graph wants nothing else"
    return f"the answer isn't the token but {said[:LONGEST_QUOTE]!a}"
