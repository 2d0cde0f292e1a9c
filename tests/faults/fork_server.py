"""Real enrichd processes that start at once: forked from one that has everything imported.

Hundreds of kills would else be hundreds of times the same imports, and hit little but them.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NoReturn

from tests.running import Place

_REPOSITORY = Path(__file__).parents[2]


class Forked:
    """One enrichd; its parent, which waits for it, is the fork server."""

    def __init__(self, pid: int, says: IO[str]) -> None:
        self.pid = pid
        self._says = says
        self._pidfd = os.pidfd_open(pid)

    def ends_within(self, seconds: float) -> bool:
        """Whether it ends by itself in that time."""
        return bool(select.select([self._pidfd], [], [], seconds)[0])

    def kill(self) -> int:
        """SIGKILL it, if it lives; how it ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        return self.wait()

    def wait(self) -> int:
        """Its exit code once it has ended; that of a signal is negative."""
        os.close(self._pidfd)
        return int(self._says.readline())


class ForkServer:
    """Starts one enrichd after another."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._asks, self._says = process.stdin, process.stdout

    def start(self, place: Place, *arguments: str | Path, traced: bool = False) -> Forked:
        """Run a command of enrichd in this place; ``traced``: not before somebody traces it."""
        chosen = {"ENRICHD_CONFIG": str(place.config)}
        wanted = {
            "arguments": list(map(str, arguments)),
            "environment": place.environment() | chosen,
            "folder": str(place.folder),
            "log": str(place.log),
            "traced": traced,
        }
        self._asks.write(json.dumps(wanted) + "\n")
        self._asks.flush()
        return Forked(int(self._says.readline()), self._says)


@contextmanager
def fork_server() -> Iterator[ForkServer]:
    """One that ends with the block; what it started is to be over by then."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.fork_server"],
        cwd=_REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield ForkServer(process)
        finally:
            process.kill()


def _become(
    arguments: Sequence[str], environment: dict[str, str], folder: str, log: str, *, traced: bool
) -> NoReturn:
    """Be the command; never returns."""
    from enrichd.cli.main import main  # noqa: PLC0415 (imported by the parent)

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, said), (2, said)):
        os.dup2(file, number)
    sys.argv = ["enrichd", *arguments]
    while traced and "TracerPid:\t0\n" in Path("/proc/self/status").read_text():
        os.sched_yield()
    code = 70
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _serve() -> None:
    import enrichd.api.server  # noqa: PLC0415
    import enrichd.app  # noqa: PLC0415
    import enrichd.cli.main  # noqa: PLC0415
    import enrichd.once  # noqa: F401, PLC0415

    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            wanted = json.loads(line)
            _become(**wanted)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve()
