"""Watching one workspace: events where the system gives them, and what to do where it does not.

Events are hints. Whatever may have been lost is made good by looking at everything: when watching
begins, when it broke, and when the root was away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import structlog
import watchfiles
from anyio import to_thread
from watchfiles import Change

from enrichd.clock import Clock, within
from enrichd.file_stat import identity_of
from enrichd.watch import limits
from enrichd.watch.changes import Watching
from enrichd.watch.repository import Repository

LOOK_AROUND_S = 2.0
"""How often it is seen whether the root is still the same folder."""
_GATHER_MS = 50
_CHANGED_S = 0.1
_AT_LIMIT_S = 300.0
_BROKEN_S = 1.0
_MOST_BROKEN_S = 60.0
_WELL_AFTER_S = 60.0

Events = set[tuple[Change, str]]

_log = structlog.get_logger()


class Listener(Protocol):
    """Whoever wants to know. Called on the event loop; must not wait."""

    def events(self, events: Events) -> None:
        """These paths, absolute, were touched."""
        ...

    def everything(self) -> None:
        """Anything may have changed."""
        ...

    def watched(self, how: Watching, problem: str) -> None:
        """From now on changes come to be known this way; ``problem`` says what is wrong with it."""
        ...


class Watcher:
    """Of one root, for as long as ``run`` runs."""

    def __init__(
        self,
        root: Path,
        listener: Listener,
        *,
        clock: Clock,
        step_ms: Callable[[], int],
    ) -> None:
        """``step_ms``: how often the watching thread looks whether there are events."""
        self._root = root
        self._listener = listener
        self._clock = clock
        self._step_ms = step_ms
        self._poked = asyncio.Event()
        self._new_folders = False
        self._told = ""
        self.repository = Repository(root)

    def poke(self) -> None:
        """Try again now what could not be done."""
        self._poked.set()

    def folders_appeared(self) -> None:
        """See soon whether they are watched too."""
        self._new_folders = True

    async def run(self) -> None:
        """Watch for ever; whatever is wrong, it is tried again."""
        broken_s = _BROKEN_S
        while True:
            identity = identity_of(self._root)
            if identity is None:
                self._listener.watched(Watching.OFF, "")
                await self._clock.sleep(LOOK_AROUND_S)
                if identity_of(self._root) is not None:
                    self.repository = Repository(self._root)
                    self._listener.everything()
                continue
            began = self._clock.monotonic()
            problem, again_s = await self._watch(identity)
            if not problem:
                await self._clock.sleep(_CHANGED_S)
                self._listener.everything()
                continue
            if self._clock.monotonic() - began > _WELL_AFTER_S:
                broken_s = _BROKEN_S
            if again_s is None:
                again_s, broken_s = broken_s, min(_MOST_BROKEN_S, 2 * broken_s)
            self._tell(problem)
            self._listener.watched(Watching.POLLING, problem)
            self._listener.everything()
            self._poked.clear()
            with suppress(TimeoutError):
                await within(self._clock, again_s, self._poked.wait())

    def _tell(self, problem: str) -> None:
        if problem != self._told:
            self._told = problem
            _log.warning(
                "files are looked at now and then instead of being watched",
                action="watch_failed",
                root=str(self._root),
                problem=problem,
            )

    async def _watch(self, identity: tuple[int, int]) -> tuple[str, float | None]:
        """Until it breaks: what is wrong, and after how many seconds to try again.

        Nothing is wrong where the root is another folder now.
        """
        reading = asyncio.create_task(self._read(), name=f"events of {self._root}")
        try:
            await self._clock.sleep(0)  # by then the folders are watched
            if limits.no_more_watches(str(self._root)):
                return _limited(limits.WATCHES), _AT_LIMIT_S
            if not reading.done():
                self._listener.watched(Watching.EVENTS, "")
                self._listener.everything()
            while await self._goes_on(reading):
                if identity_of(self._root) != identity:
                    return "", None
                if self.repository.has_changed():
                    self._listener.everything()
                if self._new_folders:
                    self._new_folders = False
                    if limits.no_more_watches(str(self._root)):
                        return _limited(limits.WATCHES), _AT_LIMIT_S
            return _explained(reading.exception())
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _goes_on(self, reading: asyncio.Task[None]) -> bool:
        """Let some time pass; whether there are still events to come."""
        pause = asyncio.ensure_future(self._clock.sleep(LOOK_AROUND_S))
        try:
            await asyncio.wait({reading, pause}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            await asyncio.gather(pause, return_exceptions=True)
        return not reading.done()

    async def _read(self) -> None:
        # A stream keeps a thread for as long as it goes on: it brings its own.
        threads = to_thread.current_default_thread_limiter()
        threads.total_tokens += 1
        try:
            async for events in self._stream():
                self._listener.events(events)
        finally:
            threads.total_tokens -= 1

    def _stream(self) -> AsyncIterator[Events]:
        return watchfiles.awatch(
            self._root,
            watch_filter=None,
            debounce=_GATHER_MS,
            step=self._step_ms(),
            rust_timeout=0,  # none: nothing happens while nothing changes
            force_polling=False,
            ignore_permission_denied=True,
        )


def _explained(error: BaseException | None) -> tuple[str, float | None]:
    text = str(error) if error is not None else "it came to an end"
    if isinstance(error, FileNotFoundError):
        return "", None
    if "os error 24" in text:
        return _limited(limits.INSTANCES), _AT_LIMIT_S
    if "os error 28" in text or "watch limit" in text:
        return _limited(limits.WATCHES), _AT_LIMIT_S
    return f"watching for changes broke ({text}): files are looked at every few seconds", None


def _limited(name: str) -> str:
    return (
        f"the system's limit {name} is reached: files are looked at every few seconds instead of "
        f"being watched; raise it (`sysctl -w {name}={limits.ENOUGH[name]}`) and reload"
    )
