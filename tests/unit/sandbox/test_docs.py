"""What docs/sandbox.md and the sandbox's README say is what there is."""

import re
from pathlib import Path
from typing import get_args

from outlook_sandbox.faults import AnyFault
from outlook_sandbox.settings import Settings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/sandbox.md").read_text()
README = (ROOT / "sandbox/README.md").read_text()


def test_every_kind_of_fault_is_on_the_page_with_its_own_settings() -> None:
    kinds = {kind.model_fields["kind"].default: kind for kind in get_args(get_args(AnyFault)[0])}
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", PAGE, re.MULTILINE))
    assert rows.keys() == kinds.keys()
    shared = {"kind", "account", "probability", "seed", "times", "app", "method", "path"}
    for name, kind in kinds.items():
        assert {setting for setting in kind.model_fields if setting not in shared} <= set(re.findall(r"`(\w+)`", rows[name]))


def test_every_setting_is_in_the_readme() -> None:
    kafka = {"KAFKA_BOOTSTRAP_SERVERS", "KAFKA_SESSION_TIMEOUT_MS", "KAFKA_HEARTBEAT_INTERVAL_MS", "KAFKA_FETCH_MAX_WAIT_MS"}
    known = {name.upper() if name.upper() in kafka else f"SANDBOX_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"`((?:SANDBOX|KAFKA)_[A-Z0-9_]+)`", README)) == known


def test_every_file_that_the_page_names_is_there() -> None:
    for name in re.findall(r"`((?:tests|sandbox|docs)/[\w/.-]+)`", PAGE):
        assert (ROOT / name).exists(), name
