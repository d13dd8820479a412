"""auth's proofs that it is the app: several at once, read again when their files change, and watched before they end."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from pydantic import ValidationError
from structlog.testing import capture_logs

from auth.credentials import Credentials, CredentialSettings
from common import telemetry
from tests.unit.sandbox.identity_client import Certificate, make_certificate

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def credentials(**given: Any) -> Credentials:
    return Credentials(CredentialSettings(**given))


def names(known: Credentials) -> list[str]:
    return [credential.name for credential in known.in_order()]


def thumbprint(certificate: Certificate) -> str:
    read = x509.load_pem_x509_certificate(certificate.pem.encode())
    return read.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - as Microsoft names it


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[str, str], Path]:
    def keep(name: str, content: str) -> Path:
        """As a mounted secret changes: another file under the same name."""
        fresh = tmp_path / f"{name}.new"
        fresh.write_text(content)
        return fresh.rename(tmp_path / name)

    return keep


def test_secrets_stand_in_their_order_with_their_last_days() -> None:
    first, second = credentials(microsoft_client_secret="one,two", microsoft_client_secret_expires_on="2026-12-01").in_order()

    assert (first.name, first.msal, first.ends) == ("secret 1", "one", datetime(2026, 12, 2, tzinfo=UTC))
    assert (second.name, second.msal, second.ends) == ("secret 2", "two", None)


@pytest.mark.parametrize("together", [True, False])
def test_a_certificate_goes_before_a_secret(kept: Callable[[str, str], Path], together: bool) -> None:
    certificate = make_certificate()
    pem = kept("app.pem", certificate.pem + certificate.key if together else certificate.pem)
    key = {} if together else {"microsoft_client_key": str(kept("app.key", certificate.key))}

    first, second = credentials(microsoft_client_certificate=str(pem), microsoft_client_secret="one", **key).in_order()

    assert (first.name, second.name) == (f"certificate {thumbprint(certificate)}", "secret 1")
    assert isinstance(first.msal, dict)
    assert first.msal["public_certificate"] == certificate.pem
    assert first.ends is not None
    assert timedelta(days=29) < first.ends - datetime.now(UTC) <= timedelta(days=30)


def test_one_that_was_refused_stands_behind_the_others_until_it_is_accepted() -> None:
    known = credentials(microsoft_client_secret="one,two,three")
    first, second, _ = known.in_order()
    with capture_logs() as lines:
        known.refused(first)

    assert names(known) == ["secret 2", "secret 3", "secret 1"]
    assert lines == [{"event": "Microsoft refuses a credential of this app", "credential": "secret 1", "log_level": "error"}]
    known.refused(second)
    assert names(known) == ["secret 3", "secret 1", "secret 2"]
    known.accepted(first)
    assert names(known) == ["secret 1", "secret 3", "secret 2"]


def test_a_changed_file_is_read_again_and_what_it_brings_stands_first(kept: Callable[[str, str], Path]) -> None:
    file = kept("secrets", "old\n")
    known = credentials(microsoft_client_secret_file=str(file))
    known.refused(known.in_order()[0])

    kept("secrets", "new 2027-01-31\nold\n")

    assert [(one.msal, one.ends) for one in known.in_order()] == [("new", datetime(2027, 2, 1, tzinfo=UTC)), ("old", None)]


def test_a_renewed_certificate_is_used_without_a_restart(kept: Callable[[str, str], Path]) -> None:
    old, new = make_certificate(), make_certificate()
    pem, key = kept("tls.crt", old.pem), kept("tls.key", old.key)
    known = credentials(microsoft_client_certificate=str(pem), microsoft_client_key=str(key))

    kept("tls.crt", new.pem)
    with capture_logs() as lines:
        half_way = names(known)
    kept("tls.key", new.key)

    assert half_way == [f"certificate {thumbprint(old)}"]
    assert [line["event"] for line in lines] == ["changed credentials can't be read"]
    assert names(known) == [f"certificate {thumbprint(new)}"]


def test_a_file_that_is_emptied_or_vanishes_leaves_what_was_read(kept: Callable[[str, str], Path]) -> None:
    file = kept("secrets", "one")
    known = credentials(microsoft_client_secret_file=str(file))
    emptied = names(known) if kept("secrets", "") else []
    file.unlink()

    assert emptied == names(known) == ["secret 1"]


def curve() -> str:
    """A certificate and its key, made in another way than RSA."""
    issued = trustme.CA(key_type=trustme.KeyType.ECDSA).issue_cert("app.example", key_type=trustme.KeyType.ECDSA)
    return issued.private_key_and_cert_chain_pem.bytes().decode()


def mistakes(folder: Path) -> dict[str, tuple[dict[str, str], str]]:
    one, other = make_certificate(), make_certificate()
    for name, content in {
        "one.pem": one.pem,
        "one.key": one.key,
        "other.key": other.key,
        "words": "not PEM",
        "lines": "secret soon",
        "empty": "\n",
        "curve.pem": curve(),
    }.items():
        (folder / name).write_text(content)
    pem, key = {"microsoft_client_certificate": str(folder / "one.pem")}, "microsoft_client_key"
    return {
        "nothing": ({}, "MICROSOFT_CLIENT_SECRET or MICROSOFT_CLIENT_CERTIFICATE is missing"),
        "both secrets": (
            {"microsoft_client_secret": "hush", "microsoft_client_secret_file": str(folder / "words")},
            "not both",
        ),
        "too many days": (
            {"microsoft_client_secret": "hush", "microsoft_client_secret_expires_on": "2026-12-01,2026-12-02"},
            "more days than there are secrets",
        ),
        "no day": ({"microsoft_client_secret": "hush", "microsoft_client_secret_expires_on": "soon"}, "expires_on"),
        "no day in the file": ({"microsoft_client_secret_file": str(folder / "lines")}, "each line is a secret"),
        "no secret in the file": ({"microsoft_client_secret_file": str(folder / "empty")}, "has no secret in it"),
        "no RSA": ({"microsoft_client_certificate": str(folder / "curve.pem")}, "is no RSA key"),
        "no file": ({"microsoft_client_certificate": str(folder / "nowhere.pem")}, "microsoft_client_certificate"),
        "no PEM": ({"microsoft_client_certificate": str(folder / "words")}, "are not a certificate and its private key"),
        "no key": (pem, "are not a certificate and its private key"),
        "another key": (pem | {key: str(folder / "other.key")}, "is not the key of"),
        "too many keys": (pem | {key: f"{folder / 'one.key'},{folder / 'other.key'}"}, "different numbers of files"),
    }


MISTAKES = [
    "nothing",
    "both secrets",
    "too many days",
    "no day",
    "no day in the file",
    "no secret in the file",
    "no RSA",
    "no file",
    "no PEM",
    "no key",
    "another key",
    "too many keys",
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_and_no_secret_repeated(tmp_path: Path, mistake: str) -> None:
    given, words = mistakes(tmp_path)[mistake]
    with pytest.raises(ValidationError, match=words) as refused:
        credentials(**given)
    assert "hush" not in str(refused.value)
    assert "PRIVATE" not in str(refused.value)


def test_no_secret_is_shown() -> None:
    known = credentials(microsoft_client_secret="hush")
    assert "hush" not in repr(known.in_order())


async def test_days_left_are_a_metric_and_a_warning_while_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = InMemoryMetricReader()
    monkeypatch.setattr(telemetry, "_meter", MeterProvider(metric_readers=[reader]).get_meter("test"))
    monkeypatch.setattr(telemetry, "_gauges", {})
    days = ",".join(str(date(2026, 11, 21) + timedelta(days=days)) for days in (10, 31, -5))
    known = credentials(microsoft_client_secret="one,two,three,four", microsoft_client_secret_expires_on=days)

    with capture_logs() as lines:
        await known.watch(NOW.replace(hour=0))

    read: Any = reader.get_metrics_data()
    [metric] = read.resource_metrics[0].scope_metrics[0].metrics
    left = {point.attributes["credential"]: point.value for point in metric.data.data_points}
    assert (metric.name, left) == ("attendara.microsoft_credential_days_left", {"secret 1": 10, "secret 2": 31, "secret 3": -5})
    assert [(line["credential"], line["days_left"]) for line in lines] == [("secret 1", 10), ("secret 3", -5)]


def test_settings_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, kept: Callable[[str, str], Path]) -> None:
    one, other = make_certificate(), make_certificate()
    files = [str(kept(name, one.pem + one.key if name == "a" else other.pem + other.key)) for name in ("a", "b")]
    monkeypatch.setenv("MICROSOFT_CLIENT_CERTIFICATE", ",".join(files))
    monkeypatch.setenv("MICROSOFT_CLIENT_SECRET", "")

    assert names(Credentials(CredentialSettings())) == [f"certificate {thumbprint(found)}" for found in (one, other)]
