"""An RSA signing key that is made once and kept in the sandbox's database, so that old tokens stay verifiable."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from outlook_sandbox.database import Database

KIND = "signing-key"


@dataclass(frozen=True)
class SigningKey:
    kid: str
    private: rsa.RSAPrivateKey

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self.private, algorithm="RS256", headers={"kid": self.kid})

    def published(self) -> dict[str, Any]:
        """The public half as a JSON Web Key."""
        numbers = self.private.public_key().public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.kid,
            "n": _number(numbers.n),
            "e": _number(numbers.e),
        }


def signing_key(database: Database, owner: str) -> SigningKey:
    """The owner's key; made and stored if there is none yet. Owners ask once and keep it."""
    stored = database.load(KIND).get(owner)
    if stored is None:
        stored = {"pem": _make()}
        database.put(KIND, owner, stored)
    return _read(stored["pem"])


def _make() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def _read(pem: str) -> SigningKey:
    private = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError("the stored signing key is not an RSA key")
    public = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return SigningKey(base64.urlsafe_b64encode(hashlib.sha256(public).digest())[:27].decode(), private)


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8)).rstrip(b"=").decode()
