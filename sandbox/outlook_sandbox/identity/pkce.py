"""Proof Key for Code Exchange (RFC 7636): does the verifier belong to the challenge."""

import base64
import hashlib
import hmac


def verifier_matches(verifier: str, challenge: str, method: str) -> bool:
    return hmac.compare_digest(_transform(verifier, method), challenge.encode())


def _transform(verifier: str, method: str) -> bytes:
    if method == "plain":
        return verifier.encode()
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
