"""What the machine itself must have beside Python: the libraries of mongod, and for the e2e tests a browser.

On Debian as root they are installed; else one line says what to do.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from attendara_local.part import StackError
from attendara_local.servers import binaries

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC_BROWSER = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
PACKAGES = {"libcurl": "libcurl4", "libssl": "libssl3", "libcrypto": "libssl3", "libstdc++": "libstdc++6"}


def main() -> int:
    """Prepare for `make run`, and with the word `browser` for `make test`."""
    try:
        _have(_missing_libraries(), "needed by the local servers")
        if "browser" in sys.argv[1:] and not find_browser():
            _have(["chromium"], "driven by the e2e tests")
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def find_browser() -> str | None:
    """The Chromium or Chrome of this machine, or what CHROMIUM names."""
    named = os.environ.get("CHROMIUM")
    on_path = (path for name in BROWSERS if (path := shutil.which(name)))
    on_mac = str(MAC_BROWSER) if MAC_BROWSER.exists() else None
    return named or next(on_path, on_mac)


def _missing_libraries() -> list[str]:
    if not shutil.which("ldd"):
        return []
    answers = [
        subprocess.run(["ldd", binary], capture_output=True, text=True, check=False).stdout  # noqa: S603, S607
        for binary in binaries()
    ]
    lines = [line for answer in answers for line in answer.splitlines() if "not found" in line]
    return sorted({package for library, package in PACKAGES.items() if any(library in line for line in lines)})


def _have(packages: list[str], why: str) -> None:
    if not packages:
        return
    names = " ".join(packages)
    if not (shutil.which("apt-get") and os.geteuid() == 0):
        raise StackError(f"Missing on this machine: {names} ({why}). On Debian: sudo apt-get install {names}")
    sys.stdout.write(f"Installing {names} ({why})\n")
    sys.stdout.flush()
    _apt("update")
    _apt("install", "--yes", "--no-install-recommends", *packages)


def _apt(*arguments: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(  # noqa: S603
        ["apt-get", "-qq", *arguments],  # noqa: S607
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise StackError(f"apt-get {' '.join(arguments)} failed: {''.join(last)}")


if __name__ == "__main__":
    sys.exit(main())
