"""The time between two starts: until it is up, or until there is a reason to try earlier."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from enrichd.clock import Clock
from enrichd.lsp.life import first_event
from enrichd.lsp.profiles import Profile, find_command
from enrichd.lsp.states import Event

LOOK_S = 10.0
"""How often a resting server's program is looked at."""
HEED_S = 60.0
"""One that changes all the time is heeded as often as that, so that it can't be started on end."""


class Program(Struct, frozen=True):
    """What a profile's command stands for on this machine, as it was when it was looked at."""

    command: list[str]
    device: int
    inode: int
    size_bytes: int
    mtime_ns: int

    @classmethod
    def find(cls, profile: Profile, root: Path) -> Program | None:
        """None where it is not installed."""
        command = find_command(profile, root)
        if command is None:
            return None
        try:
            found = Path(command[0]).stat()
        except OSError:
            return None
        return cls(command, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class Resting:
    """The rests of one server."""

    def __init__(self, profile: Profile, root: Path, clock: Clock) -> None:
        self._profile = profile
        self._root = root
        self._clock = clock
        self._ends_at: float | None = None
        self._cut = asyncio.Event()
        self._heeded_at = -math.inf

    @property
    def left_s(self) -> float | None:
        """None while it does not rest."""
        return None if self._ends_at is None else max(self._ends_at - self._clock.monotonic(), 0.0)

    def cut_short(self) -> None:
        """End the rest now, if there is one."""
        self._cut.set()

    async def rest(
        self, delay_s: float, program: Program | None, begun: Callable[[], None]
    ) -> Event:
        """WANTED when the time is up or cut short; REPLACED when ``program`` is another one.

        ``begun`` is called once it can be seen when the rest ends.
        """
        self._cut.clear()
        self._ends_at = self._clock.monotonic() + delay_s
        begun()
        try:
            watches = [self._until_over(delay_s), self._until_cut(), self._until_replaced(program)]
            return await first_event(watches, "rest of a language server")
        finally:
            self._ends_at = None

    async def _until_over(self, delay_s: float) -> Event:
        await self._clock.sleep(delay_s)
        return Event.WANTED

    async def _until_cut(self) -> Event:
        await self._cut.wait()
        return Event.WANTED

    async def _until_replaced(self, program: Program | None) -> Event:
        while True:
            await self._clock.sleep(LOOK_S)
            found = Program.find(self._profile, self._root)
            if found is None or found == program:
                continue
            now = self._clock.monotonic()
            if program is None or now - self._heeded_at >= HEED_S:
                self._heeded_at = now
                return Event.REPLACED
