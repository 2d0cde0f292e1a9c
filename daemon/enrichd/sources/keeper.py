"""Runs git for a parent that may be killed: run by path, in its own process and session.

``python -I -S keeper.py COMMAND ...`` ends as the command does. When its stdin ends, which the
parent holds open, it kills its process group: git, the helpers that wait for a silent network
and would never notice, and itself. It imports nothing of enrichd.
"""

from __future__ import annotations

import os
import select
import signal
import sys

CANNOT_EXECUTE = 127


def main(command: list[str]) -> int:
    """The command's exit status; 128 and the signal where one killed it."""
    ended, wake = os.pipe()
    for end in (ended, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # it only has to be heard
    try:
        child = os.posix_spawn(
            command[0],
            command,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # which Python ignores
        )
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        return CANNOT_EXECUTE
    while True:
        ready, _, _ = select.select([0, ended], [], [])
        if ended in ready:
            os.read(ended, 64)
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
        if 0 in ready and not os.read(0, 64):
            os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
