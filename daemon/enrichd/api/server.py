"""The HTTP server: one application behind a Unix socket and, by choice, a loopback address."""

from __future__ import annotations

import asyncio
import logging
import socket as sockets
from http import HTTPStatus
from pathlib import Path

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from enrichd.api.answers import Refused, explain_errors
from enrichd.api.daemon import Daemon
from enrichd.api.description import Description
from enrichd.api.doors import Delivery, Door, Turns
from enrichd.api.graph import GraphRoutes
from enrichd.api.jobs import JobRoutes
from enrichd.api.listening import UnixListener, listen_tcp
from enrichd.api.protocol import HEADERS, Protocol
from enrichd.api.routes import DaemonRoutes
from enrichd.api.routing import Route
from enrichd.api.runs import RunRoutes
from enrichd.api.search import SearchRoutes
from enrichd.api.security import Gate, read_or_make_token
from enrichd.api.streams import StreamRoutes
from enrichd.clock import Clock, within

MAX_BODY_BYTES = 1024 * 1024
_MAX_HEADERS = 64
_MAX_HEADER_BYTES = 8190
_IDLE_TIMEOUT_S = 15.0
"""Also the time that a client has to send the head of its first request."""
_BODY_TIMEOUT_S = 30.0
_LINGER_S = 1.0
_DRAIN_S = 0.5
"""aiohttp waits this long for handlers to end, and as long again for those that it cancelled."""


class ApiServer:
    """Serves a daemon from ``start`` until ``stop``.

    ``start`` raises AlreadyServed, CannotListen, PermissionRefused, or what is wrong with the token
    file, and leaves nothing behind then. The token file is only needed, and made, for TCP.
    """

    def __init__(
        self, app: Daemon, *, socket: Path, listen: tuple[str, int] | None, token_file: Path
    ) -> None:
        self._daemon = app
        self._path = socket
        self._listen = listen
        self._token_file = token_file
        self._unix: UnixListener | None = None
        self._tcp: sockets.socket | None = None
        self._address: tuple[str, int] | None = None
        self._runner: web.AppRunner | None = None
        self._doors: list[Door] = []
        self._logger = _logger()
        self.routes: tuple[Route, ...] = ()
        """What it serves, once it has started."""

    @property
    def address(self) -> tuple[str, int] | None:
        """Where it listens on TCP, with the port that it got where it asked for any."""
        return self._address

    async def start(self) -> None:
        """Listen and serve."""
        try:
            self._unix = UnixListener(self._path)
            token = ""
            if self._listen is not None:
                self._tcp = listen_tcp(*self._listen)
                self._address = self._listen[0], self._tcp.getsockname()[1]
                token = read_or_make_token(self._token_file)
            self._runner = self._made_runner(Gate(self._address, token))
            await self._runner.setup()
            for listener in (self._unix.socket, self._tcp):
                if listener is not None:
                    door = Door(listener, self._protocol, self._daemon.clock)
                    self._doors.append(door)
                    await door.open()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Remove the socket, take no more requests, and give those that run a moment."""
        if self._unix is not None:
            self._unix.remove_name()
        for door in self._doors:
            door.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        while self._doors:
            await self._doors.pop().clear()
        if self._unix is not None:
            self._unix.socket.close()
            self._unix = None
        if self._tcp is not None:
            self._tcp.close()
            self._tcp = self._address = None

    def _made_runner(self, gate: Gate) -> web.AppRunner:
        app = web.Application(
            middlewares=[
                explain_errors,
                Delivery().middleware(),
                gate.middleware(),
                _take_body(self._daemon.clock),
                Turns().middleware(),
            ],
            client_max_size=MAX_BODY_BYTES,
        )
        about_itself, streams = DaemonRoutes(self._daemon), StreamRoutes(self._daemon)
        kinds = (GraphRoutes, RunRoutes, JobRoutes, SearchRoutes)
        others = [routes(self._daemon) for routes in kinds]
        tables = (about_itself, streams, *others)
        routes = [route for each in tables for route in each.table()]
        routes.append(Description(routes, self._address).route)
        self.routes = tuple(routes)
        app.add_routes(route.definition() for route in routes)

        async def stop(_: web.Application) -> None:
            await about_itself.stop()
            await streams.stop()

        app.on_shutdown.append(stop)
        app.on_response_prepare.append(_add_headers)
        return web.AppRunner(app, handler_cancellation=True, shutdown_timeout=_DRAIN_S)

    def _protocol(self) -> Protocol:
        """Of one connection."""
        assert self._runner is not None
        assert self._runner.server is not None
        return Protocol(
            self._runner.server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # it is, where there is none
            auto_decompress=False,  # a small body stays a small one
            keepalive_timeout=_IDLE_TIMEOUT_S,
            lingering_time=_LINGER_S,
            logger=self._logger,
            max_field_size=_MAX_HEADER_BYTES,
            max_headers=_MAX_HEADERS,
            max_line_size=_MAX_HEADER_BYTES,
        )


def _take_body(clock: Clock) -> Middleware:
    """Read the body of whoever may send one before its handler runs, and not for ever."""

    @web.middleware
    async def take_body(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.can_read_body:
            try:
                await within(clock, _BODY_TIMEOUT_S, request.read())
            except TimeoutError as error:
                message = f"the body did not come within {_BODY_TIMEOUT_S:g} s"
                raise Refused(HTTPStatus.BAD_REQUEST, message) from error
        return await handler(request)

    return take_body


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _logger() -> logging.Logger:
    logger = logging.getLogger(__name__)
    logger.addFilter(_is_ours)
    return logger


def _is_ours(record: logging.LogRecord) -> bool:
    """Garbage is answered, and clients go away: these are no errors of ours to be logged."""
    theirs = (HttpProcessingError, ConnectionError)
    return not (record.exc_info and isinstance(record.exc_info[1], theirs))
