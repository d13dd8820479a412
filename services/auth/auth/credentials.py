"""How auth proves to Microsoft that it is the app: certificates and client secrets, several at once so that they can be rotated.

The first is used. One that Microsoft refuses stands behind the others for a while, so that a rotation, or one that
has expired, costs an operator a warning and nobody a calendar. Mounted files are read again when they have changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import zip_longest
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, Self, TypeAlias

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from pydantic import BeforeValidator, Field, FilePath, model_validator
from pydantic_settings import NoDecode

from common import telemetry
from common.settings import Part, SecretList, comma_separated

log = structlog.get_logger()

REFUSED_FOR_SECONDS = 15 * 60.0
WARN_WITHIN = timedelta(days=30)

Files = Annotated[list[FilePath], NoDecode, BeforeValidator(comma_separated)]
Dates = Annotated[list[date], NoDecode, BeforeValidator(comma_separated)]
MsalCredential: TypeAlias = str | dict[str, Any]


class CredentialSettings(Part):
    """What Microsoft knows the app by. Certificates go before secrets."""

    microsoft_client_secret: SecretList = Field(default=[])
    """The app's client secrets with commas, the one to be used first. This, the file or a certificate is needed."""
    microsoft_client_secret_expires_on: Dates = Field(default=[])
    """The last days (YYYY-MM-DD) of those secrets, in their order: Microsoft tells them only on its page."""
    microsoft_client_secret_file: FilePath | None = None
    """Instead of both: a file with one secret a line, and its last day after a space. Read again when it changes."""
    microsoft_client_certificate: Files = Field(default=[])
    """The app's certificates: PEM files with commas, the one to be used first. Read again when they change."""
    microsoft_client_key: Files = Field(default=[])
    """Their private keys: PEM files in the same order, unless they are in the certificates' own files."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.microsoft_client_secret and self.microsoft_client_secret_file:
            raise ValueError("give MICROSOFT_CLIENT_SECRET or MICROSOFT_CLIENT_SECRET_FILE, not both")
        if len(self.microsoft_client_secret_expires_on) > len(self.microsoft_client_secret):
            raise ValueError("MICROSOFT_CLIENT_SECRET_EXPIRES_ON has more days than there are secrets")
        if self.microsoft_client_key and len(self.microsoft_client_key) != len(self.microsoft_client_certificate):
            raise ValueError("MICROSOFT_CLIENT_KEY and MICROSOFT_CLIENT_CERTIFICATE name different numbers of files")
        if not Credentials(self).in_order():
            raise ValueError("MICROSOFT_CLIENT_SECRET or MICROSOFT_CLIENT_CERTIFICATE is missing")
        return self


@dataclass(frozen=True)
class Credential:
    """`name` is for the log: a certificate's SHA-1 thumbprint, as Microsoft's page shows it, or a secret's place."""

    name: str
    msal: MsalCredential = field(repr=False)
    ends: datetime | None = None


class Credentials:
    """Raises ValueError, when made, for files that can't be read; later it goes on with what it had."""

    def __init__(self, settings: CredentialSettings) -> None:
        self._sources = _sources(settings)
        self._refused: list[tuple[Credential, float]] = []

    def in_order(self) -> list[Credential]:
        """Those to be tried, one after the other."""
        known = [credential for source in self._sources for credential in source.credentials()]
        lately = [credential for credential, until in self._refused if until > monotonic()]
        return sorted(known, key=lambda credential: credential in lately)

    def refused(self, credential: Credential) -> None:
        """Microsoft doesn't take it: it has expired, or isn't registered (any more, or yet)."""
        self.accepted(credential)
        self._refused.append((credential, monotonic() + REFUSED_FOR_SECONDS))
        log.error("Microsoft refuses a credential of this app", credential=credential.name)
        telemetry.count("microsoft_credentials_refused", credential=credential.name)

    def accepted(self, credential: Credential) -> None:
        self._refused = [(other, until) for other, until in self._refused if other != credential]

    async def watch(self, now: datetime | None = None) -> None:
        """Says how many days each is good for; warns while there is time."""
        now = now or datetime.now(UTC)
        for credential in self.in_order():
            if credential.ends is None:
                continue
            left = credential.ends - now
            telemetry.gauge("microsoft_credential_days_left", left / timedelta(days=1), credential=credential.name)
            if left < WARN_WITHIN:
                log.warning("a credential of this app ends soon", credential=credential.name, days_left=left.days)


@dataclass
class _Source:
    """Credentials from files, read again when one of them is another; or from the environment (no files)."""

    files: Sequence[Path]
    read: Callable[[], list[Credential]]

    def __post_init__(self) -> None:
        self._seen = self._state()
        self._known = self.read()

    def credentials(self) -> list[Credential]:
        try:
            if (state := self._state()) != self._seen:
                self._known, self._seen = self.read(), state
                log.info("credentials of this app were read again", credentials=[credential.name for credential in self._known])
        except (OSError, ValueError) as error:  # in the middle of a change, or a mistake: the next look may see better
            log.warning("changed credentials can't be read", files=[str(file) for file in self.files], error=str(error))
        return self._known

    def _state(self) -> list[tuple[int, int, int]]:
        return [(found.st_ino, found.st_mtime_ns, found.st_size) for found in (file.stat() for file in self.files)]


def _sources(settings: CredentialSettings) -> list[_Source]:
    certificates, keys = settings.microsoft_client_certificate, settings.microsoft_client_key
    sources = [_certificate_source(*files) for files in zip(certificates, keys or certificates, strict=True)]
    if file := settings.microsoft_client_secret_file:
        sources.append(_Source((file,), lambda: _secrets_in(file)))
    secrets = [secret.get_secret_value() for secret in settings.microsoft_client_secret]
    days = [str(day) for day in settings.microsoft_client_secret_expires_on]
    told = [[secret, day] for secret, day in zip_longest(secrets, days, fillvalue="")]
    return [*sources, _Source((), lambda: _secrets(told))]


def _secrets_in(file: Path) -> list[Credential]:
    found = _secrets([line.split() for line in file.read_text().splitlines() if line.strip()])
    if not found:
        raise ValueError(f"{file} has no secret in it")
    return found


def _secrets(told: Sequence[Sequence[str]]) -> list[Credential]:
    """Each a secret and, if that is known, its last day."""
    try:
        return [Credential(f"secret {place}", secret, _end_of(*day)) for place, (secret, *day) in enumerate(told, 1)]
    except (TypeError, ValueError):
        raise ValueError("each line is a secret, and its last day as YYYY-MM-DD if that is known") from None


def _end_of(day: str = "") -> datetime | None:
    return datetime.combine(date.fromisoformat(day) + timedelta(days=1), time.min, UTC) if day else None


def _certificate_source(certificate: Path, key: Path) -> _Source:
    return _Source((certificate, key), lambda: [_certificate(certificate, key)])


def _certificate(file: Path, key_file: Path) -> Credential:
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except (TypeError, ValueError):  # a key with a password is a TypeError
        raise ValueError(f"{file} and {key_file} are not a certificate and its private key, without a password, in PEM") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"{key_file} is no RSA key: Microsoft takes no other")
    if _public(key.public_key()) != _public(certificate.public_key()):
        raise ValueError(f"{key_file} is not the key of {file}")
    thumbprint = certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - as Microsoft names it
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    # The key as it was read: MSAL would read PEM anew for each assertion, which takes thirty times as long as to sign it.
    return Credential(f"certificate {thumbprint}", {"private_key": key, "public_certificate": pem}, certificate.not_valid_after_utc)


def _public(key: Any) -> bytes:
    return bytes(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
