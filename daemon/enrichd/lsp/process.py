"""One language server's process: its pipes, its end, and nothing left behind.

asyncio's stream layer is left out on purpose: the bytes of stdout go straight to a listener,
stderr is drained always (a server blocks for ever on a full pipe), and the end is told once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, cast

from enrichd.clock import Clock, within
from enrichd.lsp.errors import ServerEnded

STDERR_LINES = 50
STDERR_BYTES = 16 * 1024
END_GRACE_S = 0.1
"""How long one sign of the end waits for the others: for the exit status, for last words."""
REAP_S = 5.0

_LAUNCHER = str(Path(__file__).with_name("launch.py"))
_STDIN, _STDOUT, _STDERR = 0, 1, 2
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_SESSION, _RESIDENT_PAGES = 3, 21  # of the fields behind the name


class Listener(Protocol):
    """Who is told what a process says."""

    def data_came(self, data: bytes) -> None:
        """Bytes of stdout, in order."""
        ...

    def may_write(self) -> None:
        """The process reads again after ``writable`` was false."""
        ...

    def closed(self, reason: str) -> None:
        """No more will come. Called once."""
        ...


class Transport(Protocol):
    """What a client needs of a process."""

    @property
    def writable(self) -> bool:
        """Whether it takes more on its stdin now."""
        ...

    def attach(self, listener: Listener) -> None:
        """Tell ``listener`` what happens; before the start."""
        ...

    def write(self, data: bytes) -> None:
        """Send."""
        ...


class Process(Transport, Protocol):
    """What a supervisor needs of one."""

    pid: int

    async def start(self) -> None:
        """Raises ServerEnded when it can't be started."""
        ...

    async def stop(self, grace_s: float) -> None:
        """Be gone afterwards, gently first."""
        ...

    async def kill(self) -> None:
        """Be gone afterwards."""
        ...

    def stderr_tail(self) -> list[str]:
        """Its last words."""
        ...

    def rss_bytes(self) -> int:
        """Memory that it takes now."""
        ...


class ServerProcess(asyncio.SubprocessProtocol):
    """Spawned in a session of its own, with its parent's death as its own; always reaped."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        clock: Clock,
    ) -> None:
        self._command = list(command)
        self._cwd = cwd
        self._environment = dict(environment)
        self._clock = clock
        self._listener: Listener | None = None
        self._transport: asyncio.SubprocessTransport | None = None
        self._stdin: asyncio.WriteTransport | None = None
        self._stderr = b""
        self._writable = False
        self._exited = asyncio.Event()
        self._closed = asyncio.Event()
        self._stdout_ended = False
        self._stderr_ended = asyncio.Event()
        self._grace: asyncio.Task[None] | None = None
        self.pid = 0
        self.returncode: int | None = None

    def attach(self, listener: Listener) -> None:
        """Tell ``listener`` what happens; before ``start``."""
        self._listener = listener

    async def start(self) -> None:
        """Spawn. Raises ServerEnded when the operating system refuses."""
        loop = asyncio.get_running_loop()
        launcher = [sys.executable, "-I", "-S", _LAUNCHER, str(os.getpid())]
        try:
            await loop.subprocess_exec(
                lambda: self,
                *launcher,
                *self._command,
                cwd=self._cwd,
                env=self._environment,
                start_new_session=True,
            )
        except OSError as error:
            raise ServerEnded(f"cannot start {self._command[0]}: {error}") from error

    @property
    def writable(self) -> bool:
        """Whether the process takes more on its stdin now."""
        return self._writable

    def write(self, data: bytes) -> None:
        """Send; when not ``writable`` the bytes wait in memory, and after the end they vanish."""
        if self._stdin is not None and not self._stdin.is_closing():
            self._stdin.write(data)

    def stderr_tail(self) -> list[str]:
        """The last lines that the process wrote to stderr."""
        lines = self._stderr.decode("utf-8", "replace").splitlines()
        return lines[-STDERR_LINES:]

    def rss_bytes(self) -> int:
        """Resident memory of the process and of what it has started in its session."""
        return _rss_bytes(self.pid, self.pid) if self.returncode is None else 0

    async def wait(self) -> int:
        """The exit status; negative for a signal."""
        await self._exited.wait()
        assert self.returncode is not None
        return self.returncode

    async def stop(self, grace_s: float) -> None:
        """Close stdin, then TERM, then KILL to the whole group, each given ``grace_s``."""
        if self._transport is None:
            return
        try:
            self._close_stdin()
            if await self._gone_within(grace_s):
                return
            self._signal(signal.SIGTERM)
            await self._gone_within(grace_s)
        finally:
            await self.kill()

    async def kill(self) -> None:
        """KILL the whole group now, reap, and close every pipe."""
        if self._transport is None:
            return
        if not self._exited.is_set():
            self._signal(signal.SIGKILL)
        try:
            await self._gone_within(REAP_S)
            with suppress(TimeoutError):
                await within(self._clock, END_GRACE_S, self._stderr_ended.wait())
        finally:
            self._close()
        await self._closed.wait()
        if self._grace is not None:
            self._grace.cancel()
            await asyncio.gather(self._grace, return_exceptions=True)

    async def _gone_within(self, timeout_s: float) -> bool:
        if self._exited.is_set():
            return True
        with suppress(TimeoutError):
            await within(self._clock, timeout_s, self._exited.wait())
        return self._exited.is_set()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _close_stdin(self) -> None:
        if self._stdin is None or self._stdin.is_closing():
            return
        if self._stdin.get_write_buffer_size():
            self._stdin.abort()  # close() would wait for a reader that may never come
        else:
            self._stdin.close()

    def _close(self) -> None:
        """Close the pipes even where a grandchild holds their other ends."""
        assert self._transport is not None
        self._close_stdin()
        self._transport.close()

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        process = cast("asyncio.SubprocessTransport", transport)
        self._transport = process
        self.pid = process.get_pid()
        self._stdin = cast("asyncio.WriteTransport", process.get_pipe_transport(_STDIN))
        self._writable = True

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        assert isinstance(data, bytes)
        if fd == _STDERR:
            self._stderr = (self._stderr + data)[-STDERR_BYTES:]
        elif self._listener is not None:
            self._listener.data_came(data)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self._listener is not None:
            self._listener.may_write()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == _STDIN:
            self._writable = False
            if exc is not None:
                self._ending("it closed its stdin")
        elif fd == _STDERR:
            self._stderr_ended.set()
        elif fd == _STDOUT:
            self._stdout_ended = True
            if self._exited.is_set():
                self._end(self._status())
            else:
                self._ending("it closed its stdout")

    def process_exited(self) -> None:
        assert self._transport is not None
        self._writable = False
        self.returncode = self._transport.get_returncode()
        self._exited.set()
        self._signal(signal.SIGKILL)  # grandchildren that it left in its group
        if self._stdout_ended:
            self._end(self._status())
        else:
            self._ending(self._status())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._closed.set()
        self._end(self._status())

    def _ending(self, reason: str) -> None:
        """One of several signs of the end: give the others a moment, then tell."""
        if self._grace is None and self._listener is not None:
            self._grace = asyncio.get_running_loop().create_task(
                self._end_after_grace(reason), name=f"end of language server {self.pid}"
            )

    async def _end_after_grace(self, reason: str) -> None:
        await self._clock.sleep(END_GRACE_S)
        self._end(self._status() if self._exited.is_set() else reason)

    def _end(self, reason: str) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.closed(reason)

    def _status(self) -> str:
        code = self.returncode
        if code is None:
            return "it ended"
        if code >= 0:
            return f"it exited with status {code}"
        with suppress(ValueError):
            return f"it was killed by {signal.Signals(-code).name}"
        return f"it was killed by signal {-code}"


def _rss_bytes(pid: int, session: int) -> int:
    """See proc_pid_stat(5); children are listed by the thread that started them."""
    process = Path("/proc", str(pid))
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        threads = list((process / "task").iterdir())
    except OSError:
        return 0
    if int(fields[_SESSION]) != session:
        return 0
    children: list[str] = []
    for thread in threads:
        with suppress(OSError):
            children += (thread / "children").read_text().split()
    own = int(fields[_RESIDENT_PAGES]) * _PAGE_BYTES
    return own + sum(_rss_bytes(int(child), session) for child in children)
