"""Bodies like those of Microsoft's documentation, in words of our own: tests/data/graph/examples, and what they have in common
with others: keys and codes."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

FOLDER = Path(__file__).parents[2] / "data/graph/examples"
NAMES = sorted(file.stem for file in FOLDER.glob("*.json"))
CODES = ("/error/code", "/innerError/code", "/error", "/error_codes", "/suberror", "/lifecycleEvent")
"""Where codes stand: ends of paths."""
REDIRECT = "GET {redirect_uri}?"


def example(name: str, folder: Path = FOLDER) -> Any:
    return json.loads((folder / f"{name}.json").read_text())


def lacks(example: Any, body: Any, path: str = "") -> set[str]:
    """The keys of an example, as paths, that a body doesn't have, and the codes that are others there. Items of lists are
    compared in their order; a body may have more of everything."""
    example, body = _opened(example), _opened(body)
    if isinstance(example, dict):
        if not isinstance(body, dict):
            return {path}
        missing = {f"{path}/{key}" for key in example.keys() - body.keys()}
        return missing.union(*(lacks(example[key], body[key], f"{path}/{key}") for key in example.keys() & body.keys()))
    if isinstance(example, list) and not path.endswith(CODES):
        objects = [item for item in example if isinstance(item, dict)]
        if not isinstance(body, list) or len(body) < len(objects):
            return {path}
        return set().union(*(lacks(one, other, path) for one, other in zip(objects, body, strict=False)))
    return {f"{path} {body}"} if path.endswith(CODES) and example != body else set()


def _opened(value: Any) -> Any:
    """What texts are made of: the address of a redirect, a challenge."""
    if isinstance(value, str) and value.startswith(REDIRECT):
        return dict(parse_qsl(value.removeprefix(REDIRECT), keep_blank_values=True))
    if isinstance(value, str) and value.startswith("Bearer realm="):
        return dict(re.findall(r'(\w+)="([^"]*)"', value))
    return value
