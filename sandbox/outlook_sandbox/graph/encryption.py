"""What rich notifications are made of: data encrypted for a client's certificate, and tokens that say who sends it."""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import padding as asymmetric
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from outlook_sandbox.graph.errors import invalid_request
from outlook_sandbox.identity.keys import SigningKey

PUBLISHER = "0bf30f3b-4a52-48df-9a82-234910c4a086"
"""The app that sends change notifications, wherever they come from."""
KEY_BYTES = 32
TOKEN_LIFE = timedelta(hours=8)


def read_certificate(text: str) -> tuple[x509.Certificate, rsa.RSAPublicKey]:
    """A certificate in base64 and its key; raises GraphError 400 unless it is RSA of 2,048 to 4,096 bits."""
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
        key = certificate.public_key()
    except ValueError:
        raise invalid_request("The property 'encryptionCertificate' is not an X.509 certificate.") from None
    if not isinstance(key, rsa.RSAPublicKey) or not 2048 <= key.key_size <= 4096:
        raise invalid_request("The key of 'encryptionCertificate' must be RSA of 2048 to 4096 bits.")
    return certificate, key


def encrypt(data: dict[str, Any], certificate: str, certificate_id: str | None) -> dict[str, Any]:
    """`encryptedContent`: the data under a new AES key, that key under the certificate's, and an HMAC over the former."""
    known, public = read_certificate(certificate)
    key = secrets.token_bytes(KEY_BYTES)
    padder = padding.PKCS7(128).padder()
    padded = padder.update(msgspec.json.encode(data)) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    encrypted = encryptor.update(padded) + encryptor.finalize()
    # OAEP with SHA-1 is what Graph uses, and what clients expect.
    oaep = asymmetric.OAEP(asymmetric.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303
    return {
        "data": _text(encrypted),
        "dataSignature": _text(hmac.digest(key, encrypted, hashlib.sha256)),
        "dataKey": _text(public.encrypt(key, oaep)),
        "encryptionCertificateId": certificate_id,
        "encryptionCertificateThumbprint": known.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303
    }


def validation_token(key: SigningKey, app: str, tenant: str, now: datetime) -> str:
    """A token of the first version, as Microsoft's sample shows it; `azp` is what a later one says instead of `appid`."""
    issuer, issued = f"https://sts.windows.net/{tenant}/", int(now.timestamp())
    return key.sign(
        {
            "aud": app,
            "iss": issuer,
            "iat": issued,
            "nbf": issued,
            "exp": issued + int(TOKEN_LIFE.total_seconds()),
            "aio": secrets.token_urlsafe(24),
            "appid": PUBLISHER,
            "azp": PUBLISHER,
            "appidacr": "2",
            "idp": issuer,
            "tid": tenant,
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
        }
    )


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
