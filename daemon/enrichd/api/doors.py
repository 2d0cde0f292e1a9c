"""The doors: how many come in at one, whose turn it is, how long an answer may lie untaken.

aiohttp waits for ever for a client that stops reading, and keeps what it was answered. A door
looks at the connection itself, below HTTP: whatever was written has to be taken in time.
"""

from __future__ import annotations

import asyncio
import socket as sockets
from collections import Counter, defaultdict
from collections.abc import Callable
from http import HTTPStatus
from weakref import WeakSet

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from enrichd.api.answers import Refused
from enrichd.clock import Clock

MAX_CONNECTIONS = 256
"""At one door. A stranger who takes all of them at one leaves the other free."""
WRITE_TIMEOUT_S = 10.0
"""For what the kernel's own buffer does not hold of an answer."""
MAX_UNTAKEN_BYTES = 16 * 1024 * 1024
"""Of all answers at one door. A single one may be larger."""
AT_WORK = 2
"""Questions about the graph at one door; the others wait, and not in the way of another door."""
MOST_WAITING = 32
"""Of these others; who comes then is refused."""
_HEAVY = ("/api/v1/symbols", "/api/v1/graph/", "/api/v1/search")
_PIECE_BYTES = 64 * 1024

_REASON = b'{"error":{"message":"too many connections","hint":null,"code":"unavailable"}}'
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    b"Retry-After: 1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(_REASON), _REASON)
)


class Door:
    """A listening socket and those who came in by it."""

    def __init__(
        self, listener: sockets.socket, speak: Callable[[], asyncio.Protocol], clock: Clock
    ) -> None:
        """``speak`` makes the protocol of a connection."""
        self._listener = listener
        self._speak = speak
        self.clock = clock
        self._server: asyncio.Server | None = None
        self.visits: WeakSet[_Visit] = WeakSet()
        """From before its connection is made: many may be accepted at once."""

    async def open(self) -> None:
        """Let clients in."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._received, sock=self._listener)

    def close(self) -> None:
        """Let nobody in any more."""
        if self._server is not None:
            self._server.close()

    async def clear(self) -> None:
        """Put out those who are still there; what they did not take is lost."""
        await asyncio.gather(*[visit.end() for visit in list(self.visits)])

    def _received(self) -> asyncio.Protocol:
        if len(self.visits) >= MAX_CONNECTIONS:
            return _Turned()
        visit = _Visit(self, self._speak())
        self.visits.add(visit)
        return visit


class _Turned(asyncio.Protocol):
    """A client for whom there is no room: it is told so at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(_FULL)
        transport.close()


class _Visit(asyncio.Protocol):
    """One connection: what it says goes to the protocol inside, unless it stops reading."""

    def __init__(self, door: Door, inside: asyncio.Protocol) -> None:
        self._door = door
        self._inside = inside
        self._transport: asyncio.WriteTransport | None = None
        self._patience: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()

    async def end(self) -> None:
        """Return when it is gone."""
        if self._transport is not None:
            self._transport.abort()
            await self._gone.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        # Whatever the kernel does not take counts as not taken.
        transport.set_write_buffer_limits(high=0)
        self._inside.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._inside.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inside.eof_received()

    def pause_writing(self) -> None:
        self._patience = asyncio.get_running_loop().create_task(
            self._lose_patience(), name="a client that does not read"
        )
        self._inside.pause_writing()

    def resume_writing(self) -> None:
        self._be_patient()
        self._inside.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._be_patient()
        self._door.visits.discard(self)
        self._gone.set()
        self._inside.connection_lost(exc)

    async def _lose_patience(self) -> None:
        await self._door.clock.sleep(WRITE_TIMEOUT_S)
        assert self._transport is not None
        self._transport.abort()

    def _be_patient(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class Turns:
    """Has the questions of one door wait for each other, where they take the store's time."""

    def __init__(self) -> None:
        self._there: Counter[sockets.AddressFamily] = Counter()
        self._turns = defaultdict[sockets.AddressFamily, asyncio.Semaphore](
            lambda: asyncio.Semaphore(AT_WORK)
        )

    def middleware(self) -> Middleware:
        """Goes around the handlers alone: whose answer is delivered has had its turn."""

        @web.middleware
        async def take_turn(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not request.path.startswith(_HEAVY):
                return await handler(request)
            door = door_of(request)
            if self._there[door] >= AT_WORK + MOST_WAITING:
                raise too_much("too many questions wait for their turn")
            self._there[door] += 1
            try:
                async with self._turns[door]:
                    return await handler(request)
            finally:
                self._there[door] -= 1

        return take_turn


class Delivery:
    """Hands out large answers piece by piece; what waits to be taken is bounded."""

    def __init__(self) -> None:
        self._untaken: Counter[sockets.AddressFamily] = Counter()

    def middleware(self) -> Middleware:
        """Goes around the handlers; nothing of an answer is kept when it was taken."""

        @web.middleware
        async def deliver(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await handler(request)
            body = response.body if isinstance(response, web.Response) else None
            if isinstance(body, bytes) and len(body) > _PIECE_BYTES and not response.prepared:
                return await self._deliver(request, response, body)
            return response

        return deliver

    async def _deliver(
        self, request: web.Request, whole: web.StreamResponse, body: bytes
    ) -> web.StreamResponse:
        door = door_of(request)
        if self._untaken[door] and self._untaken[door] + len(body) > MAX_UNTAKEN_BYTES:
            raise too_much("too many large answers wait for clients that do not read them")
        response = web.StreamResponse(status=whole.status, headers=whole.headers)
        response.content_length = len(body)
        self._untaken[door] += len(body)
        try:
            await response.prepare(request)
            if request.method != "HEAD":
                for start in range(0, len(body), _PIECE_BYTES):
                    await response.write(body[start : start + _PIECE_BYTES])
            await response.write_eof()
        except ConnectionError:
            pass  # the client is gone: aiohttp finds that out for itself
        finally:
            self._untaken[door] -= len(body)
        return response


def too_much(message: str) -> Refused:
    """The refusal of what there is no room for just now."""
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, message, hint="ask again in a moment")


def door_of(request: web.Request) -> sockets.AddressFamily:
    """By which door the request came; raises ConnectionResetError for a client that is gone."""
    peer: sockets.socket | None = request.get_extra_info("socket")
    if peer is None:
        raise ConnectionResetError("the client is gone")
    return peer.family
