"""Starts a language server so that it dies with its parent: run by path, in its own process.

``python -I -S launch.py PARENT_PID COMMAND ...`` asks the kernel for a SIGKILL when the parent
dies, then becomes the command. (``preexec_fn`` would do the same, but runs Python between fork
and exec of a process with threads, which can deadlock.) It imports nothing of enrichd.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
CANNOT_EXECUTE = 127


def main(parent_pid: int, command: list[str]) -> int:
    """Become ``command``; returns only when that failed."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent_pid:
        return CANNOT_EXECUTE  # the parent died before the kernel knew of our wish
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is what is wanted
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}", file=sys.stderr)
    return CANNOT_EXECUTE


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
