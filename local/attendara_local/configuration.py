"""Writes the table of docs/configuration.md from the services' settings classes (`make docs`)."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr
from pydantic.fields import FieldInfo

import attendara_cli.settings
import auth.settings
import renewer.settings
import settings_web.settings
import sync_worker.settings
import webhook_gateway.settings
from common.client_state import ClientStateSettings
from common.settings import Part

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"

SERVICES: Mapping[str, type[Part]] = {
    "auth": auth.settings.Settings,
    "renewer": renewer.settings.Settings,
    "settings-web": settings_web.settings.Settings,
    "sync-worker": sync_worker.settings.Settings,
    "webhook-gateway": webhook_gateway.settings.Settings,
}
CLI = (attendara_cli.settings.Settings, ClientStateSettings)
"""Its commands read the one or the other."""

TABLE = re.compile(r"(?<=<!-- settings: written by make docs -->\n).*(?=<!-- end -->)", re.DOTALL)


class Row(NamedTuple):
    """One variable as some of its readers take it."""

    variable: str
    value: str
    default: str
    secret: str
    meaning: str


def table() -> str:
    rows: dict[Row, list[str]] = {}
    for reader, settings in [*SERVICES.items(), *(("cli", each) for each in CLI)]:
        for row in _rows(settings):
            rows.setdefault(row, []).append(reader)
    lines = [_line(*row[:4], _listed(rows[row]), row.meaning) for row in sorted(rows, key=_place)]
    head = [_line("variable", "value", "default", "secret", "read by", "what it means"), _line(*["---"] * 6)]
    return "\n".join([*head, *lines, ""])


def _place(row: Row) -> tuple[str, ...]:
    """By names, a name before those that go on from it."""
    return tuple(row.variable.strip("`").split("_"))


def _rows(settings: type[Part]) -> list[Row]:
    schemas = settings.model_json_schema()["properties"]
    return [_row(name, field, schemas[name]) for name, field in settings.model_fields.items()]


def _row(name: str, field: FieldInfo, schema: dict[str, Any]) -> Row:
    if not field.description:
        raise ValueError(f"{name} needs a docstring: it is the text of its row in {PAGE.name}")
    kind = next((each for each in schema.get("anyOf", ()) if each["type"] != "null"), schema)
    secret = kind.get("items", kind).get("format") == "password"
    meaning = " ".join(field.description.split())
    return Row(f"`{name.upper()}`", _value(kind), _default(field), "secret" if secret else "", meaning)


def _value(schema: dict[str, Any]) -> str:
    """In plain words: what may be given."""
    if "enum" in schema:
        *others, last = (f"`{each}`" for each in schema["enum"])
        return f"{', '.join(others)} or {last}"
    match schema["type"]:
        case "boolean":
            return "`true` or `false`"
        case "integer" | "number" as kind:
            return ", ".join(["whole number" if kind == "integer" else "number", *_bounds(schema)])
        case "array":
            return f"{_text(schema['items'])}s with commas"
    return _text(schema)


def _bounds(schema: dict[str, Any]) -> list[str]:
    words = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}
    return [f"{said} {schema[bound]}" for bound, said in words.items() if bound in schema]


def _text(schema: dict[str, Any]) -> str:
    return {"file-path": "file", "date": "day", "uri": "web address"}.get(schema.get("format", ""), "text")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if value in (None, "", []):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _listed(readers: list[str]) -> str:
    everyone = list(SERVICES)
    return ", ".join(["all", *readers[len(everyone) :]] if readers[: len(everyone)] == everyone else readers)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda _: table(), PAGE.read_text()))
