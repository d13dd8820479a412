"""What the manifests are judged by."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.manifests import COMPONENTS, OVERLAYS, Manifest, overlay, with_component

MAKE = Path(__file__).parents[2] / ".make"


@pytest.fixture(scope="session", params=[*OVERLAYS, *(f"components/{name}" for name in COMPONENTS)])
def manifests(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, ...]:
    """Each overlay, and the base with each component."""
    if request.param in OVERLAYS:
        return overlay(request.param)
    return with_component(Path(request.param).name, tmp_path_factory.mktemp("kustomize"))


@pytest.fixture(scope="session")
def kube_score(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """kube-score, built once from the Go modules that kube-score/go.sum pins."""
    modules = Path(__file__).parent / "kube-score"
    program = MAKE / f"kube-score-{hashlib.sha256((modules / 'go.sum').read_bytes()).hexdigest()[:12]}"
    if not program.exists():
        go, folder = Path(sys.executable).with_name("go"), tmp_path_factory.mktemp("go")
        places = {"GOPATH": str(folder), "GOCACHE": str(folder / "cache"), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
        command: list[str | Path] = [go, "build", "-C", modules, "-o", program, "github.com/zegl/kube-score/cmd/kube-score"]
        subprocess.run(command, check=True, timeout=900, env=os.environ | places | {"CGO_ENABLED": "0"})
    return program
