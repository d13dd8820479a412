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


def certificates(folder: Path) -> Certificates:
    """Those in the folder; made when there are none, or when they end within a day."""
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    if not all(path.exists() for path in (made.authority, made.chain, made.key)) or _ends_soon(made.chain):
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA(organization_name="Outlook sandbox")
        issued = authority.issue_cert(*NAMES)
        made.key.touch(mode=0o600)
        issued.private_key_pem.write_to_path(str(made.key))
        made.chain.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        authority.cert_pem.write_to_path(str(made.authority))
    return made


def _ends_soon(chain: Path) -> bool:
    certificate = x509.load_pem_x509_certificate(chain.read_bytes())
    return certificate.not_valid_after_utc < datetime.now(UTC) + timedelta(days=1)
