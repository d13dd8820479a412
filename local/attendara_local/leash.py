"""Runs a command that ends when its parent does, however that ends: `python leash.py <parent's pid> <command> …`.

A script of its own with nothing imported from the package, because it stands in front of every process of the stack.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it ended before the kernel was asked
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - the command is ours, from the Procfile or servers.py


if __name__ == "__main__":
    main()
