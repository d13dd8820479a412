"""The tokens of delta links: sealed, so that only what was given out is taken, also after a restart."""

import base64
import hashlib

import msgspec

from outlook_sandbox.graph.errors import GraphError, bad_request

SEAL = 8


class State(msgspec.Struct, frozen=True, array_like=True):
    """Where a round stands, and the bounds that it keeps for ever (seconds).

    `known` is how far the client had everything when the round began; `empty` how many pages without items are still to
    come before one with, None if none were meant to.
    """

    kind: str
    scope: str
    generation: int
    start: int
    end: int
    seen: int
    known: int
    empty: int | None = None


def scope_of(*names: str) -> str:
    """What a token is good for: mailbox, calendar and resource."""
    return hashlib.blake2b(" ".join(names).encode(), digest_size=9).hexdigest()


def sealed(state: State) -> str:
    content = msgspec.msgpack.encode(state)
    return base64.urlsafe_b64encode(content + _seal(content)).rstrip(b"=").decode()


def unsealed(token: str) -> State:
    """Raises GraphError 400 for anything that `sealed` did not make."""
    try:
        whole = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        content, seal = whole[:-SEAL], whole[-SEAL:]
        if seal != _seal(content):
            raise badly_formed()
        return msgspec.msgpack.decode(content, type=State)
    except (ValueError, msgspec.DecodeError) as reason:
        raise badly_formed() from reason


def badly_formed() -> GraphError:
    return bad_request("Badly formed token.")


def _seal(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=SEAL, person=b"delta").digest()
