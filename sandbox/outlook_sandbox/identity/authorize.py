"""The authorization request: what an app asks for, checked, and where the answer goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from outlook_sandbox.accounts import Account
from outlook_sandbox.identity.apps import App
from outlook_sandbox.identity.claims import Claims, read_claims
from outlook_sandbox.identity.codes import Code
from outlook_sandbox.identity.errors import Refused, missing
from outlook_sandbox.identity.scopes import read_scopes

PROMPTS = {"login", "none", "consent", "select_account"}
RESPONSE_MODES = {"query", "fragment", "form_post"}
CHALLENGE_LENGTHS = range(43, 129)


@dataclass(frozen=True)
class Destination:
    """Where the answer goes. Only once this is known to be right may anything, even an error, be sent there."""

    redirect_uri: str
    response_mode: str
    state: str | None

    @property
    def origin(self) -> str:
        parts = urlsplit(self.redirect_uri)
        return f"{parts.scheme}://{parts.netloc}"

    def answer(self, values: Mapping[str, str]) -> dict[str, str]:
        return {**values} | ({"state": self.state} if self.state is not None else {})

    def address(self, values: Mapping[str, str]) -> str:
        """The redirect URI with the answer in its query or fragment."""
        if self.response_mode == "fragment":
            return f"{self.redirect_uri}#{urlencode(self.answer(values))}"
        joint = "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{joint}{urlencode(self.answer(values))}"


@dataclass(frozen=True)
class Wish:
    """What the app asks for."""

    scopes: frozenset[str]
    prompt: str | None
    nonce: str | None
    challenge: str | None
    challenge_method: str
    claims: Claims


def read_destination(params: Mapping[str, str], app: App) -> Destination:
    """Raises Refused (AADSTS50011) if the redirect URI is not one of the app's, to the letter."""
    redirect_uri = params.get("redirect_uri")
    if not redirect_uri:
        raise missing("redirect_uri")
    if redirect_uri not in app.redirect_uris:
        raise Refused(50011, redirect_uri=redirect_uri, app=app.id)
    mode = params.get("response_mode", "query")
    return Destination(redirect_uri, mode if mode in RESPONSE_MODES else "query", params.get("state"))


def read_wish(params: Mapping[str, str]) -> Wish:
    """Raises Refused for what the app may be told about by redirect."""
    _check_response(params)
    prompt = params.get("prompt") or None
    if prompt and prompt not in PROMPTS:
        raise Refused(90023, why=f"Unsupported 'prompt' value '{prompt}'. Exactly one value is accepted.")
    method = params.get("code_challenge_method") or "plain"
    challenge = params.get("code_challenge") or None
    _check_challenge(challenge, method)
    scopes = read_scopes(params.get("scope", ""))
    return Wish(scopes, prompt, params.get("nonce"), challenge, method, read_claims(params.get("claims")))


def agreed(account: Account, app: App, tenant: str, destination: Destination, wish: Wish) -> Code:
    """What a code stands for, once the account has said yes."""
    return Code(
        account=account.id,
        app=app.id,
        tenant=tenant,
        redirect_uri=destination.redirect_uri,
        scopes=wish.scopes,
        nonce=wish.nonce,
        challenge=wish.challenge,
        challenge_method=wish.challenge_method,
        claims=wish.claims,
    )


def check_scopes_for(account: Account, scopes: frozenset[str]) -> None:
    """Raises Refused (AADSTS70011) for a scope that a personal account can't give."""
    read_scopes(" ".join(scopes), personal=account.kind == "personal")


def _check_response(params: Mapping[str, str]) -> None:
    response_type = params.get("response_type")
    if not response_type:
        raise missing("response_type")
    if response_type != "code":
        raise Refused(700054, response_type=response_type)
    mode = params.get("response_mode", "query")
    if mode not in RESPONSE_MODES:
        raise Refused(90023, why=f"Unsupported 'response_mode' value '{mode}'.")


def _check_challenge(challenge: str | None, method: str) -> None:
    if method not in {"S256", "plain"}:
        raise Refused(90023, why=f"Unsupported 'code_challenge_method' value '{method}'.")
    if challenge is not None and len(challenge) not in CHALLENGE_LENGTHS:
        raise Refused(501491)
