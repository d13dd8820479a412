"""The `claims` of a request: what the client is capable of, and how fresh a token an API asked for."""

import base64
from dataclasses import dataclass
from datetime import datetime

import msgspec

from outlook_sandbox.identity.errors import Refused


@dataclass(frozen=True)
class Claims:
    """`cp1` clients handle claims challenges; `not_before` is the `nbf` (seconds) that a challenge told the client to ask for."""

    cp1: bool = False
    not_before: int = 0


class _Capabilities(msgspec.Struct):
    values: list[str] = []


class _NotBefore(msgspec.Struct):
    value: str | int = 0


class _AccessToken(msgspec.Struct):
    xms_cc: _Capabilities | None = None
    nbf: _NotBefore | None = None


class _Sent(msgspec.Struct):
    access_token: _AccessToken | None = None


def read_claims(text: str | None) -> Claims:
    """Raises Refused (AADSTS90023) for what is not the JSON of a claims request."""
    if not text:
        return Claims()
    try:
        sent = msgspec.json.decode(text, type=_Sent).access_token or _AccessToken()
        not_before = int(sent.nbf.value) if sent.nbf else 0
    except (msgspec.DecodeError, ValueError):
        raise Refused(90023, why="The 'claims' parameter is not a valid JSON object of claims.") from None
    return Claims(sent.xms_cc is not None and "cp1" in map(str.casefold, sent.xms_cc.values), not_before)


def challenge(at: datetime) -> str:
    """What a client must pass on as `claims` after an incident, in base64, as an API tells it."""
    wanted = {"access_token": {"nbf": {"essential": True, "value": str(int(at.timestamp()))}}}
    return base64.b64encode(msgspec.json.encode(wanted)).decode()
