"""Runs git so that it can do no more than it must: no prompt, no program of a repository's choice.

It gets a session of its own, of which nothing is left when it has ended, when it was given up,
and when the daemon was killed.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from enrichd.clock import Clock, within
from enrichd.sources.trouble import GitFailed, SourceError

STALL_S = 120.0
WATCH_S = 0.25
REAP_S = 5.0
END_GRACE_S = 0.5
"""How long the pipes of a git that has ended are read, where somebody else holds them."""
_SAID_BYTES = 8 * 1024
_LINE_BYTES = 4 * 1024

Tell = Callable[[int, int, str], None]
"""Done, total, and what: ``receiving objects``, ``resolving deltas``, ``updating files``."""

_KEEPER = str(Path(__file__).with_name("keeper.py"))
_PROGRESS = re.compile(
    rb"(Receiving objects|Resolving deltas|Updating files): +\d+% \((\d{1,15})/(\d{1,15})\)"
)
_SSH = (
    "ssh -o BatchMode=yes -o ForwardAgent=no -o ForwardX11=no -o ClearAllForwardings=yes"
    " -o PermitLocalCommand=no -o ControlMaster=no"
)
_HISTORICAL = (
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badName",
    "badTimezone",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
)
"""What git wrote in its youth, and old repositories hold: ugly, and harmless."""
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.logAllRefUpdates": "false",
    "core.bigFileThreshold": "32m",  # larger ones are streamed, not held in memory
    "fetch.fsckObjects": "true",
    "fetch.unpackLimit": "1",  # one pack a fetch, and not a file an object
    "fetch.writeCommitGraph": "false",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    "gc.auto": "0",  # it would go on in the background
    "maintenance.auto": "false",
    "credential.interactive": "false",
    **{f"fetch.fsck.{each}": "ignore" for each in _HISTORICAL},
}
_OPTIONS = [
    "--literal-pathspecs",
    *(part for key, value in _SETTINGS.items() for part in ("-c", f"{key}={value}")),
]


def environment() -> dict[str, str]:
    """Ours without what would point git elsewhere; it asks nobody, and speaks English."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") and name not in {"SSH_ASKPASS", "DISPLAY", "LANGUAGE"}
    }
    return kept | {
        "LC_ALL": "C",
        "GIT_ALLOW_PROTOCOL": "https:ssh:file",
        "GIT_ASKPASS": "",
        "GIT_TERMINAL_PROMPT": "0",
        "GCM_INTERACTIVE": "never",
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_SSH_COMMAND": _SSH,
        "GIT_SSH_VARIANT": "ssh",
        "GIT_PROGRESS_DELAY": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
    }


class Git:
    """Runs git, one command at a time, in one folder."""

    def __init__(self, folder: Path, clock: Clock, tell: Tell, *, about: str) -> None:
        self.folder = folder
        self._about = about
        self._clock = clock
        self._tell = tell

    async def init(self, objects: str) -> None:
        """Make an empty repository of the folder, which is there."""
        kind = f"--object-format={objects}"
        await self._run(["init", "--quiet", "--template=", kind, "--", str(self.folder)])

    async def run(
        self,
        *arguments: str,
        heard: Callable[[bytes], None] | None = None,
        watch: Callable[[], Awaitable[None]] | None = None,
        stall_s: float = STALL_S,
    ) -> bytes:
        """What it wrote to stdout, or nothing where ``heard`` takes that, piece by piece.

        ``watch`` is awaited every now and then; what it or ``heard`` raises ends git at once.
        Raises GitFailed, and SourceError when it can't run or says nothing for ``stall_s``.
        """
        # Said, and not looked for: git would find a repository around a damaged one.
        place = [f"--git-dir={self.folder / '.git'}", f"--work-tree={self.folder}"]
        return await self._run([*place, *arguments], heard, watch, stall_s)

    async def _run(
        self,
        arguments: Sequence[str],
        heard: Callable[[bytes], None] | None = None,
        watch: Callable[[], Awaitable[None]] | None = None,
        stall_s: float = STALL_S,
    ) -> bytes:
        program = shutil.which("git")
        if program is None:
            raise SourceError("there is no git on PATH", hint="install git")
        output = bytearray()
        process = _Process(self._clock, heard or output.extend, self._progress)
        try:
            await process.start([program, *_OPTIONS, *arguments], self.folder)
            await self._wait(process, watch, stall_s)
        finally:
            await process.end()
        if process.problem is not None:
            raise process.problem
        if process.status:
            raise GitFailed(process.status, process.said)
        return bytes(output)

    async def _wait(
        self, process: _Process, watch: Callable[[], Awaitable[None]] | None, stall_s: float
    ) -> None:
        while not await process.exited_within(WATCH_S):
            if process.problem is not None:
                return
            if watch is not None:
                await watch()
            if self._clock.monotonic() - process.heard_at > stall_s:
                raise SourceError(
                    f"{self._about}: git said nothing for {stall_s:g} s and was given up",
                    hint="check the host and the network, then ask again",
                )

    def _progress(self, line: bytes) -> bool:
        found = _PROGRESS.match(line)
        if found is None:
            return False
        with suppress(Exception):  # whoever watches is no obstacle
            self._tell(int(found[2]), int(found[3]), found[1].decode().lower())
        return True


class _Process(asyncio.SubprocessProtocol):
    """One git: its pipes, its end, its group."""

    def __init__(
        self, clock: Clock, heard: Callable[[bytes], None], progress: Callable[[bytes], bool]
    ) -> None:
        self._clock = clock
        self._heard = heard
        self._progress = progress
        self._transport: asyncio.SubprocessTransport | None = None
        self._exited = asyncio.Event()
        self._closed = asyncio.Event()
        self._line = b""
        self._said = b""
        self.heard_at = clock.monotonic()
        self.status = 0
        self.problem: Exception | None = None
        """What the listener of stdout raised."""

    @property
    def said(self) -> str:
        return (self._said + self._line).decode(errors="replace")

    async def start(self, command: Sequence[str], folder: Path) -> None:
        keeper = [sys.executable, "-I", "-S", _KEEPER]
        await asyncio.get_running_loop().subprocess_exec(
            lambda: self,
            *keeper,
            *command,
            cwd=folder,
            env=environment(),
            start_new_session=True,
        )

    async def exited_within(self, timeout_s: float) -> bool:
        with suppress(TimeoutError):
            await within(self._clock, timeout_s, self._exited.wait())
        return self._exited.is_set()

    async def end(self) -> None:
        """Be gone afterwards, with all that it has started."""
        if self._transport is None:
            return
        gave_up = not self._exited.is_set()
        self._kill()
        try:
            if gave_up:
                await self.exited_within(REAP_S)
            else:
                with suppress(TimeoutError):
                    await within(self._clock, END_GRACE_S, self._closed.wait())
        finally:
            self._transport.close()
        await self._closed.wait()

    def _kill(self) -> None:
        assert self._transport is not None
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._transport.get_pid(), signal.SIGKILL)

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        assert isinstance(data, bytes)
        self.heard_at = self._clock.monotonic()
        if fd == 2:
            self._listen(data)
        elif self.problem is None:
            try:
                self._heard(data)
            except Exception as problem:  # for whoever runs this
                self.problem = problem
                self._kill()

    def _listen(self, data: bytes) -> None:
        *lines, rest = re.split(rb"[\r\n]", self._line + data)
        self._line = rest[-_LINE_BYTES:]
        for line in lines:
            if line and not self._progress(line):
                self._said = (self._said + line + b"\n")[-_SAID_BYTES:]

    def process_exited(self) -> None:
        assert self._transport is not None
        self.status = self._transport.get_returncode() or 0
        self._exited.set()
        self._kill()  # what it left in its group

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._closed.set()
