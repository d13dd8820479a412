"""The sandbox as others install it: its wheel has all that it needs, and names all that it imports."""

import ast
import os
import re
import subprocess
import sys
import zipfile
from email import message_from_string
from email.message import Message
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from outlook_sandbox.settings import Settings

SOURCE = Path(__file__).parents[3] / "sandbox"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(SOURCE)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where the backend finds its program
    built = subprocess.run(command, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stdout + built.stderr
    (made,) = folder.glob("*.whl")
    return zipfile.ZipFile(made)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return message_from_string(_text(wheel, "METADATA"))


def _text(wheel: zipfile.ZipFile, name: str) -> str:
    (found,) = [entry for entry in wheel.namelist() if entry.endswith(f".dist-info/{name}")]
    return wheel.read(found).decode()


def test_every_file_of_the_package_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    files = {str(file.relative_to(SOURCE)) for file in (SOURCE / "outlook_sandbox").rglob("*") if file.is_file()}
    ours = {file for file in files if "__pycache__" not in file}
    packed = {name for name in wheel.namelist() if not name.endswith("/") and ".dist-info/" not in name}
    assert packed == ours
    assert "outlook_sandbox/py.typed" in packed
    assert {Path(file).suffix for file in packed} >= {".py", ".html", ".css", ".js", ".svg"}


def test_the_wheel_has_the_command_and_a_readme(wheel: zipfile.ZipFile, metadata: Message) -> None:
    assert "outlook-sandbox = outlook_sandbox.__main__:main" in _text(wheel, "entry_points.txt")
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert str(metadata.get_payload()).strip() == (SOURCE / "README.md").read_text().strip()


def test_every_import_is_of_a_declared_dependency(metadata: Message) -> None:
    declared = {_normal(re.split(r"[\s\[<>=!~;(]", named)[0]) for named in metadata.get_all("Requires-Dist", [])}
    distributions = packages_distributions()
    undeclared = {
        f"{name} in {file.relative_to(SOURCE)}"
        for file in (SOURCE / "outlook_sandbox").rglob("*.py")
        for name in _imported(file) - sys.stdlib_module_names - {"outlook_sandbox"}
        if not declared & {_normal(distribution) for distribution in distributions[name]}
    }
    assert undeclared == set()


def test_the_readme_names_every_setting() -> None:
    readme = (SOURCE / "README.md").read_text()
    names = {str(field.validation_alias or f"SANDBOX_{name.upper()}") for name, field in Settings.model_fields.items()}
    assert {name for name in names if f"`{name}`" not in readme} == set()


def _imported(file: Path) -> set[str]:
    """The top-level modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
