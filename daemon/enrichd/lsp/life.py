"""One life of a server: a process, the connection to it, the handshake, and the end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol

from msgspec import Raw

from enrichd import heap
from enrichd.clock import Clock
from enrichd.lsp import protocol as lsp
from enrichd.lsp.client import Client, Observe
from enrichd.lsp.declared import Declared, read_answer
from enrichd.lsp.manners import Manners
from enrichd.lsp.positions import path_to_uri, shown_name
from enrichd.lsp.process import Process
from enrichd.lsp.profiles import Profile, server_environment
from enrichd.lsp.states import Event

SHUTDOWN_S = 1.0
STOP_GRACE_S = 0.5
MEMORY_CHECK_S = 10.0

_HELLO = "enrichd.lsp.hello"


class Spawn(Protocol):
    """Makes a process that is not started yet."""

    def __call__(
        self, command: list[str], *, cwd: Path, environment: Mapping[str, str], clock: Clock
    ) -> Process:
        """``ServerProcess``, or a stand-in."""
        ...


async def prepare() -> None:
    """Load what a handshake is made with, in a thread: it takes as long as all else of enrichd."""
    if not hasattr(sys.modules.get(_HELLO), "initialize_params"):  # it may be on its way
        await asyncio.to_thread(_load)


class Life:
    """From spawn to grave; never used twice."""

    def __init__(
        self,
        command: list[str],
        profile: Profile,
        root: Path,
        *,
        clock: Clock,
        request_timeout_s: float,
        observe: Observe | None,
        spawn: Spawn,
    ) -> None:
        self._profile = profile
        self._root = root
        self._clock = clock
        self.declared: Declared | None = None
        """None until it is initialized."""
        self.excess = ""
        """How much memory it took, once that was too much."""
        self.process = spawn(
            command, cwd=root, environment=server_environment(profile), clock=clock
        )
        self.client = Client(
            self.process,
            manners=Manners(profile.settings, path_to_uri(root), shown_name(root)),
            clock=clock,
            request_timeout_s=request_timeout_s,
            observe=observe,
            name=profile.name,
        )

    async def begin(self) -> Declared:
        """Spawn and shake hands. Raises LanguageServerError, msgspec.DecodeError."""
        await self.process.start()
        await prepare()
        from enrichd.lsp.hello import initialize_params  # noqa: PLC0415  (see prepare)

        answer = await self.client.call(
            lsp.INITIALIZE,
            initialize_params(self._root, self._profile.initialization_options),
            timeout_s=self._profile.ready_timeout_s,
            result_type=Raw,
        )
        declared = read_answer(answer)
        self.client.notify(lsp.INITIALIZED, {})
        self.declared = declared
        return declared

    async def until_ended(self) -> Event:
        """Returns when the connection is over, for whatever reason."""
        await self.client.ended.wait()
        return Event.DIED

    async def until_too_big(self, max_rss_bytes: int) -> Event:
        """Returns when the process takes more memory than that."""
        while (size := self.process.rss_bytes()) <= max_rss_bytes:
            await self._clock.sleep(MEMORY_CHECK_S)
        self.excess = f"it took {size >> 20} MiB of memory, {max_rss_bytes >> 20} are allowed"
        return Event.TOO_BIG

    async def end(self, politely: bool) -> None:
        """Be gone afterwards: shutdown, exit, TERM, KILL; or KILL at once."""
        try:
            if not politely:
                return
            if self.declared is not None:
                await self.client.goodbye(SHUTDOWN_S)
            await self.process.stop(STOP_GRACE_S)
        finally:
            await self.process.kill()
            await self.client.aclose()


def _load() -> None:
    import_module(_HELLO)
    heap.give_back()
    heap.keep()


async def first_event(watches: list[Coroutine[None, None, Event]], name: str) -> Event:
    """The event of the watch that ends first; the others are cancelled and awaited."""
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(watch, name=name) for watch in watches]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
