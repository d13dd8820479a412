"""What an app needs for notifications with resource data: a certificate and its key, and how to read what comes."""

import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding as asymmetric
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Json = dict[str, Any]


def certificate(key: Any) -> str:
    """For a key, signed with it; in base64."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "notifications")])
    begins = datetime(2026, 1, 1)  # noqa: DTZ001 - X.509 has no zones
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), begins, begins + timedelta(900))
    return base64.b64encode(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)).decode()


KEY = rsa.generate_private_key(65537, 2048)
CERTIFICATE = certificate(KEY)


def decrypted(told: Json, private: rsa.RSAPrivateKey = KEY) -> Json:
    """The data of a notification whose signature is good."""
    content = {name: value for name, value in told["encryptedContent"].items() if not name.startswith("encryption")}
    data, signature, wrapped = (base64.b64decode(content[name]) for name in ("data", "dataSignature", "dataKey"))
    key = private.decrypt(wrapped, asymmetric.OAEP(asymmetric.MGF1(hashes.SHA1()), hashes.SHA1(), None))  # noqa: S303
    assert hmac.compare_digest(hmac.digest(key, data, hashlib.sha256), signature)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    shown: Json = json.loads(unpadder.update(decryptor.update(data) + decryptor.finalize()) + unpadder.finalize())
    return shown
