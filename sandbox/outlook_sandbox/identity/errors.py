"""What the identity platform answers when it refuses: an AADSTS number with its words, and the body that carries them."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec

from outlook_sandbox.identity.aadsts import MEANINGS

GRAPH_APP = "00000003-0000-0000-c000-000000000000"
POLICY = "2d5fb4ca-6d35-4d1f-9b47-1f3c5f0a8e21"
"""The one conditional access policy here: clients are told its id in `claims` and hand it back."""


class _Values(dict[str, str]):
    """What a text needs and nobody knew is left open: a fault strikes without a cause."""

    def __missing__(self, name: str) -> str:
        return {"resource": GRAPH_APP}.get(name, "…")


class Refused(Exception):
    """A request that the identity platform turns down, with Microsoft's number for the reason.

    `values` fill the gaps in the number's text, such as `app` and `user`; `text` stands in its place.
    """

    def __init__(self, code: int, text: str | None = None, **values: str) -> None:
        self.code = code
        self.meaning = MEANINGS[code]
        super().__init__(f"AADSTS{code}: {text or self.meaning.text.format_map(_Values(values))}")

    @property
    def status(self) -> int:
        return self.meaning.status

    def description(self, now: datetime, trace: str, correlation: str) -> str:
        return f"{self}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {now:%Y-%m-%d %H:%M:%SZ}"

    def body(self, now: datetime, base: str, correlation: str | None = None) -> dict[str, Any]:
        """The JSON body of a refusal at the token endpoint."""
        trace, correlation = str(uuid4()), correlation or str(uuid4())
        body: dict[str, Any] = {
            "error": self.meaning.error,
            "error_description": self.description(now, trace, correlation),
            "error_codes": [self.code],
            "timestamp": f"{now:%Y-%m-%d %H:%M:%SZ}",
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"{base}/error?code={self.code}",
        }
        if self.meaning.suberror:
            body["suberror"] = self.meaning.suberror
        if self.meaning.claims:
            wanted = {"access_token": {"capolids": {"essential": True, "values": [POLICY]}}}
            body["claims"] = msgspec.json.encode(wanted).decode()
        return body

    def redirected(self, now: datetime, base: str) -> dict[str, str]:
        """What the app is told by redirect."""
        return {
            "error": self.meaning.redirect,
            "error_description": self.description(now, str(uuid4()), str(uuid4())),
            "error_uri": f"{base}/error?code={self.code}",
        }


def missing(field: str) -> Refused:
    return Refused(900144, field=field)
