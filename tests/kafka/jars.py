"""Gets Apache Kafka's jars by Maven: `python -m tests.kafka.jars` says in one line why it can't."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
JARS = Path(".make/kafka/jars")
JAVA_NEEDED = 17


class NoKafkaError(Exception):
    """Why Apache Kafka can't be had on this machine."""


def get() -> Path:
    """The folder with the jars of pom.xml."""
    _check_java()
    if not shutil.which("mvn"):
        raise NoKafkaError("Maven (mvn) is not on this machine")
    had = JARS / POM.name  # which pom the jars are of: written when all of them are there
    if not had.exists() or had.read_bytes() != POM.read_bytes():
        shutil.rmtree(JARS, ignore_errors=True)
        _copy_jars()
        shutil.copy(POM, had)
    return JARS


def _check_java() -> None:
    if not shutil.which("java"):
        raise NoKafkaError("Java is not on this machine")
    told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    if not version or int(version[1]) < JAVA_NEEDED:
        raise NoKafkaError(f"Java {JAVA_NEEDED} or newer is needed: {told.splitlines()[:1]}")


def _copy_jars() -> None:
    command = ["mvn", "--batch-mode", "--quiet", "--file", str(POM), "dependency:copy-dependencies"]
    options = [f"-DoutputDirectory={JARS.absolute()}", "-Dstyle.color=never"]
    done = subprocess.run([*command, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = re.sub(r"\x1b\[\d*m", "", done.stdout + done.stderr).strip().splitlines() or ["mvn failed"]
        raise NoKafkaError(f"Kafka's jars can't be had: {lines[0]}")


if __name__ == "__main__":
    try:
        get()
    except NoKafkaError as error:
        sys.exit(str(error))
