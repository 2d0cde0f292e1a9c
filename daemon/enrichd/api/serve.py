"""The daemon in the foreground: the app, its doors, signals, and what systemd wants to know."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from enrichd import heap, logs
from enrichd.clock import Clock, SystemClock, within
from enrichd.config import Config
from enrichd.errors import EnrichdError, ExitCode
from enrichd.notify import Notifier, watchdog_interval_s
from enrichd.services import ServiceEnded
from enrichd_tracker.errors import StoreUnavailable

if TYPE_CHECKING:
    from enrichd.app import App

_PING_TIMEOUT_S = 5.0
_STATUS_EVERY_S = 10.0
_TRY_AGAIN_S = 1.0
_SOON_S = 60.0

_log = structlog.get_logger()


def run_daemon(config: Config, reread: Callable[[], Config]) -> int:
    """Serve until SIGTERM or SIGINT; ``reread`` gives the configuration again at SIGHUP.

    Returns the exit code; errors of the start are raised.
    """
    heap.share()
    clock = SystemClock()
    logs.configure(config.daemon.log_level, config.daemon.log_format, clock.monotonic)
    watchdog_s = watchdog_interval_s(os.environ)
    notifier = Notifier.take(os.environ, clock)
    return asyncio.run(_Foreground(clock, notifier, watchdog_s, reread).run(config))


class _Foreground:
    def __init__(
        self,
        clock: Clock,
        notifier: Notifier,
        watchdog_s: float | None,
        reread: Callable[[], Config],
    ) -> None:
        self._clock = clock
        self._notifier = notifier
        self._watchdog_s = watchdog_s
        self._reread = reread
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._served = False

    async def run(self, config: Config) -> int:
        from enrichd.api.server import ApiServer  # noqa: PLC0415

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        app = await self._opened(config)
        if app is None:
            return ExitCode.OK
        heap.keep()
        try:
            address = config.daemon.address
            doors = ApiServer(
                app,
                socket=config.daemon.socket,
                listen=(address.host, address.port) if address else None,
                token_file=config.daemon.token_file,
            )
            await doors.start()
            try:
                await app.serve()
                return await self._serve(app)
            finally:
                self._notifier.stopping()
                await doors.stop()
        finally:
            await app.close()
            if self._served:
                _log.info("stopped", action="stopped")

    async def _opened(self, config: Config) -> App | None:
        """The app, as soon as its database can be opened; None when told to stop before."""
        from enrichd.app import App  # noqa: PLC0415

        problem = ""
        while True:
            try:
                return await App.open(config, self._clock)
            except StoreUnavailable as error:
                if error.message != problem:
                    _log.error("can't start yet", action="store_unavailable", error=error.message)
                problem = error.message
            self._notifier.starting(f"waiting for the database: {problem}", _SOON_S)
            with suppress(TimeoutError):
                await within(self._clock, _TRY_AGAIN_S, self._stop.wait())
                return None

    async def _serve(self, app: App) -> int:
        app.services.start("reloading", self._reload_when_told(app))
        app.services.start("systemd status", self._tell_status(app))
        app.services.start(
            "giving memory back",
            heap.give_back_after_work(self._clock, lambda: app.generation, app.store.shrink),
        )
        if self._watchdog_s is not None:
            app.services.start("watchdog", self._keep_watchdog(app, self._watchdog_s))
        _log.info("serving", action="serving", database=str(app.config.daemon.database))
        self._served = True
        self._notifier.ready()
        stopped = asyncio.ensure_future(self._stop.wait())
        failed = asyncio.ensure_future(app.services.failure())
        try:
            await asyncio.wait({stopped, failed}, return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                failed.result()
        except ServiceEnded:
            return ExitCode.SOFTWARE
        finally:
            for each in (stopped, failed):
                each.cancel()
            await asyncio.gather(stopped, failed, return_exceptions=True)
        _log.info("stopping", action="stopping")
        return ExitCode.OK

    async def _reload_when_told(self, app: App) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            self._notifier.reloading()
            try:
                config = self._reread()
                await app.reload(config)
            except EnrichdError as error:
                app.metrics.config_reload_ok.set(0)
                app.reload_problem = error.message
                _log.error(
                    "the new configuration is not used", action="reload", error=error.message
                )
                self._notifier.ready(f"the old configuration stays: {error.message}")
            else:
                logs.configure(
                    config.daemon.log_level, config.daemon.log_format, self._clock.monotonic
                )
                app.metrics.config_reload_ok.set(1)
                app.reload_problem = ""
                _log.info("configuration reloaded", action="reload")
                self._notifier.ready()

    async def _tell_status(self, app: App) -> None:
        seen: object = None
        while True:
            if (now := app.generation) != seen:
                seen = now
                self._notifier.status(await app.summary())
            await self._clock.sleep(_STATUS_EVERY_S)

    async def _keep_watchdog(self, app: App, interval_s: float) -> None:
        """WATCHDOG=1 only while the loop turns, the monitor ticks and the writer answers."""
        while True:
            if app.alive():
                with suppress(TimeoutError):
                    await within(self._clock, min(_PING_TIMEOUT_S, interval_s), app.store.ping())
                    self._notifier.watchdog()
            await self._clock.sleep(interval_s)
