"""auth's settings name every mistake and repeat no secret."""

import base64

import pytest
from pydantic import ValidationError

from auth.settings import Settings

RIGHT = {
    "SERVICE_CREDENTIALS": "cli:secret",
    "MICROSOFT_CLIENT_ID": "an-app",
    "MICROSOFT_CLIENT_SECRET": "a-secret",
    "MICROSOFT_REDIRECT_URI": "http://localhost:8400/connect/microsoft/return",
    "TOKEN_KEYS": "k1:" + base64.b64encode(bytes(32)).decode(),
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in RIGHT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_the_authority_is_microsofts_own_unless_said_otherwise(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("MICROSOFT_AUTHORITY", raising=False)
    assert Settings().microsoft_authority == "https://login.microsoftonline.com/common"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TOKEN_KEYS", "k1:tooshort", "'k1' is not the base64 of 32 bytes"),
        ("MICROSOFT_AUTHORITY", "http://localhost:8411/common", "microsoft_authority"),
        ("MICROSOFT_CLIENT_ID", "", "microsoft_client_id"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(environment: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    environment.setenv(name, value)
    with pytest.raises(ValidationError, match=words) as refused:
        Settings()
    assert "tooshort" not in str(refused.value)
