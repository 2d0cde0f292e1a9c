"""The long-lived tasks of the process: each named, each owned, none ends unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial

import structlog

_log = structlog.get_logger()


class ServiceEnded(Exception):
    """A service that should run for ever has ended: the process must not go on without it."""

    def __init__(self, name: str, error: BaseException | None) -> None:
        reason = f"{type(error).__name__}: {error}" if error else "it returned"
        super().__init__(f"the service {name} ended: {reason}")


class Services:
    """Starts tasks and watches over them."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(
        self, name: str, service: Coroutine[None, None, None], *, finite: bool = False
    ) -> None:
        """Run a service until ``end`` or ``stop``; a ``finite`` one may also return."""
        task = asyncio.get_running_loop().create_task(service, name=name)
        self._tasks[name] = task
        task.add_done_callback(partial(self._ended, finite=finite))

    async def end(self, name: str) -> None:
        """End one service."""
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def stop(self) -> None:
        """End all of them, the last started first."""
        for name in reversed(list(self._tasks)):
            await self.end(name)
        if self._failure.done() and not self._failure.cancelled():
            self._failure.exception()
        self._failure.cancel()

    async def failure(self) -> None:
        """Wait until a service ends by itself; raises ServiceEnded."""
        await asyncio.shield(self._failure)

    @property
    def failed(self) -> bool:
        """Whether a service has ended by itself."""
        return self._failure.done()

    def _ended(self, task: asyncio.Task[None], *, finite: bool) -> None:
        if self._tasks.get(task.get_name()) is not task:
            return  # ended on purpose
        error = None if task.cancelled() else task.exception()
        if finite and error is None and not task.cancelled():
            del self._tasks[task.get_name()]
            return
        _log.error("service ended", action="service_ended", service=task.get_name(), exc_info=error)
        if not self._failure.done():
            self._failure.set_exception(ServiceEnded(task.get_name(), error))
