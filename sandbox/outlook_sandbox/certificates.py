"""The certificate of the https listener and the authority that clients are told to trust (ca.pem)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509

NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Certificates:
    authority: Path
    chain: Path
    key: Path


def certificates(folder: Path, name: str) -> Certificates:
    """Those in the folder; made when there are none for this host's name, or when they end within a day."""
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    if not all(path.exists() for path in (made.authority, made.chain, made.key)) or not _serves(made.chain, name):
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA(organization_name="Outlook sandbox")
        issued = authority.issue_cert(*dict.fromkeys((*NAMES, name)))
        made.key.touch(mode=0o600)
        issued.private_key_pem.write_to_path(str(made.key))
        made.chain.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        authority.cert_pem.write_to_path(str(made.authority))
    return made


def _serves(chain: Path, name: str) -> bool:
    certificate = x509.load_pem_x509_certificate(chain.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    lasts = certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=1)
    return lasts and name in names.get_values_for_type(x509.DNSName)
