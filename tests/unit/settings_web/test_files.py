"""What is served to browsers: vendored files are what they were, and templates hold nothing that the policy forbids."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from settings_web.view import POLICY, STATIC

VENDOR = STATIC / "vendor"
TEMPLATES = sorted((STATIC.parent / "templates").glob("*.html"))


def test_every_vendored_file_is_in_the_manifest_and_unchanged() -> None:
    manifest = {entry["file"]: entry["sha256"] for entry in json.loads((VENDOR / "manifest.json").read_text())}
    actual = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir() if path.name != "manifest.json"}
    assert actual == manifest


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_inline_scripts_or_styles(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|hx-on|javascript:", text)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_form_that_changes_something_carries_the_csrf_token(template: Path) -> None:
    for form in re.findall(r'<form method="post".*?</form>', template.read_text(), re.DOTALL):
        assert "csrf(session)" in form


def test_every_icon_that_is_used_is_in_the_sprite() -> None:
    sprite = (VENDOR / "bootstrap-icons-1.13.2.sprite.svg").read_text()
    there = set(re.findall(r'id="icon-([\w-]+)"', sprite))
    texts = "".join(path.read_text() for path in TEMPLATES)
    used = set(re.findall(r'icon\("([\w-]+)"\)', texts))
    assert used <= there
    assert all(name in texts for name in there), "the sprite holds only what is used"


def test_nothing_comes_from_elsewhere() -> None:
    assert "http" not in POLICY
    for template in TEMPLATES:
        assert "https://" not in template.read_text()
